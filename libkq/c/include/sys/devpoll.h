/* poll(4D): /dev/poll, with the layout and values of illumos. */
#ifndef KQ_SYS_DEVPOLL_H
#define KQ_SYS_DEVPOLL_H

#include <poll.h>
#include <sys/ioctl.h>

/* struct dvpoll *: puts what is ready into the list. */
#define DP_POLL 0xd001
/* struct pollfd *: 1 and the interest in revents, or 0. */
#define DP_ISPOLLED 0xd002
/* The same as DP_POLL, with a mask. */
#define DP_PPOLL 0xd003

struct dvpoll {
	struct pollfd *dp_fds;
	nfds_t dp_nfds;
	int dp_timeout;
	sigset_t *dp_setp;
};

#endif
