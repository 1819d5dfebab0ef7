/* select(2). */
#ifndef KQ_SYS_SELECT_H
#define KQ_SYS_SELECT_H

#include <sys/types.h>
#include <sys/time.h>
#include <time.h>
#include <kq/sigset.h>

#define FD_SETSIZE 1024

typedef struct {
	uint64_t __bits[FD_SETSIZE / 64];
} fd_set;

#define __FD_WORD(fd, set) ((set)->__bits[(unsigned)(fd) / 64 % (FD_SETSIZE / 64)])
#define __FD_BIT(fd) ((uint64_t)1 << ((unsigned)(fd) % 64))
/* A number beyond the set is not in it. */
#define __FD_FITS(fd) ((unsigned)(fd) < FD_SETSIZE)

#define FD_SET(fd, set) ((void)(__FD_FITS(fd) && (__FD_WORD(fd, set) |= __FD_BIT(fd))))
#define FD_CLR(fd, set) ((void)(__FD_FITS(fd) && (__FD_WORD(fd, set) &= ~__FD_BIT(fd))))
#define FD_ISSET(fd, set) (__FD_FITS(fd) && (__FD_WORD(fd, set) & __FD_BIT(fd)) != 0)
#define FD_ZERO(set) ((void)(*(set) = (fd_set){ { 0 } }))

int select(int count, fd_set *read, fd_set *write, fd_set *except, struct timeval *timeout);
int pselect(int count, fd_set *read, fd_set *write, fd_set *except, const struct timespec *timeout,
	    const sigset_t *mask);

#endif
