/* poll(2). */
#ifndef KQ_POLL_H
#define KQ_POLL_H

#include <sys/types.h>
#include <time.h>
#include <kq/sigset.h>

#define POLLIN 0x0001
#define POLLPRI 0x0002
#define POLLOUT 0x0004
#define POLLERR 0x0008
#define POLLHUP 0x0010
#define POLLNVAL 0x0020
#define POLLRDNORM 0x0040
#define POLLRDBAND 0x0080
#define POLLWRNORM 0x0100
#define POLLWRBAND 0x0200
/* /dev/poll: the entry is removed. */
#define POLLREMOVE 0x1000
#define POLLRDHUP 0x2000

typedef unsigned long nfds_t;

struct pollfd {
	int fd;
	short events;
	short revents;
};

_Static_assert(sizeof(struct pollfd) == 8, "as Linux, FreeBSD and illumos have it");

int poll(struct pollfd *list, nfds_t count, int timeout);
int ppoll(struct pollfd *list, nfds_t count, const struct timespec *timeout, const sigset_t *mask);

#endif
