/* epoll(7): the layout and values of Linux on x86-64. */
#ifndef KQ_SYS_EPOLL_H
#define KQ_SYS_EPOLL_H

#include <stdint.h>
#include <time.h>
#include <kq/sigset.h>

#define EPOLL_CTL_ADD 1
#define EPOLL_CTL_DEL 2
#define EPOLL_CTL_MOD 3

/* The value of O_CLOEXEC, which is Redox's. */
#define EPOLL_CLOEXEC 0x01000000

#define EPOLLIN 0x0001u
#define EPOLLPRI 0x0002u
#define EPOLLOUT 0x0004u
#define EPOLLERR 0x0008u
#define EPOLLHUP 0x0010u
#define EPOLLRDNORM 0x0040u
#define EPOLLRDBAND 0x0080u
#define EPOLLWRNORM 0x0100u
#define EPOLLWRBAND 0x0200u
#define EPOLLMSG 0x0400u
#define EPOLLRDHUP 0x2000u
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP (1u << 29)
#define EPOLLONESHOT (1u << 30)
#define EPOLLET (1u << 31)

typedef union epoll_data {
	void *ptr;
	int fd;
	uint32_t u32;
	uint64_t u64;
} epoll_data_t;

struct epoll_event {
	uint32_t events;
	epoll_data_t data;
} __attribute__((packed));

_Static_assert(sizeof(struct epoll_event) == 12, "packed, as Linux has it on x86-64");

/* Whom an arrival wakes of those who sleep for it with EPOLLEXCLUSIVE. Where nobody fits, whoever sleeps. */
#ifndef WAKE_AUTO
#define WAKE_ALL 0		/* one sleeper of each queue */
#define WAKE_ONE_THIS_CPU 1	/* one on the CPU where it arose */
#define WAKE_ONE_OTHER_CPU 2	/* one on another */
#define WAKE_ONE_PER_CPU 3	/* one for each CPU on which somebody sleeps */
#define WAKE_ROUND_ROBIN 4	/* one, each in turn */
#define WAKE_AUTO 5		/* one, on a CPU that has nothing else to do */
#endif

int epoll_create(int size);
int epoll_create1(int flags);
int epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int epoll_wait(int set, struct epoll_event *events, int room, int timeout);
int epoll_pwait(int set, struct epoll_event *events, int room, int timeout, const sigset_t *mask);
int epoll_pwait2(int set, struct epoll_event *events, int room, const struct timespec *timeout,
		 const sigset_t *mask);
/* -1: no policy of one's own. The second is for all who have the file. */
int epoll_wake_policy(int set, int fd, int policy);
int epoll_file_wake_policy(int set, int fd, int policy);

#endif
