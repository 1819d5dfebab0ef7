/* ioctl(2). */
#ifndef KQ_SYS_IOCTL_H
#define KQ_SYS_IOCTL_H

/* int *: bytes that a read would give now. */
#define FIONREAD 0x541b
/* int *: whether calls on the file wait. */
#define FIONBIO 0x5421

int ioctl(int fd, unsigned long request, ...);

#endif
