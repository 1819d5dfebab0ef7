/* Bad input: every call is given null pointers, impossible counts, times, flags and numbers that are closed or of something
   else. It says so, and changes nothing. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/devpoll.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

/* The call fails with this error. */
#define REFUSED(error, call)                          \
	do {                                          \
		errno = 0;                            \
		if (((long)(call) != -1 || errno != (error)) && flaw == NULL) \
			flaw = #call " " #error;      \
	} while (0)

/* The call answers this number. */
#define ANSWERS(number, call)                       \
	do {                                        \
		if ((call) != (number) && flaw == NULL) \
			flaw = #call " " #number;   \
	} while (0)

#define CLOSED 999

/* Two pipes, of which the first can be read, watched through every interface. */
struct scene {
	int ready[2], idle[2];
	int queue, set, device;
};

/* What the interfaces say of it. */
struct picture {
	struct kevent kevents[8];
	struct epoll_event items[8];
	struct pollfd entries[8], polled[2], asked[2];
	fd_set readable;
	int counts[6];
};

static void begin(struct scene *scene)
{
	struct kevent changes[4];
	struct epoll_event item = { EPOLLIN, { .u64 = 1 } };
	struct pollfd entries[2];

	ANSWERS(0, pipe(scene->ready));
	ANSWERS(0, pipe(scene->idle));
	ANSWERS(1, write(scene->ready[1], "x", 1));
	scene->queue = kqueue();
	scene->set = epoll_create1(0);
	scene->device = open("/dev/poll", O_RDWR);
	EV_SET(&changes[0], scene->ready[0], EVFILT_READ, EV_ADD, 0, 0, &tests);
	EV_SET(&changes[1], scene->idle[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, &tests);
	EV_SET(&changes[2], 7, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, &tests);
	EV_SET(&changes[3], 8, EVFILT_USER, EV_ADD | EV_DISABLE, NOTE_TRIGGER, 0, &tests);
	ANSWERS(0, kevent(scene->queue, changes, 4, NULL, 0, NULL));
	ANSWERS(0, epoll_ctl(scene->set, EPOLL_CTL_ADD, scene->ready[0], &item));
	item.events |= EPOLLONESHOT;
	ANSWERS(0, epoll_ctl(scene->set, EPOLL_CTL_ADD, scene->idle[0], &item));
	entries[0] = (struct pollfd){ scene->ready[0], POLLIN, 0 };
	entries[1] = (struct pollfd){ scene->idle[0], POLLIN, 0 };
	ANSWERS((long)sizeof(entries), write(scene->device, entries, sizeof(entries)));
}

/* Levels alone are told, so that looking changes nothing but their order: of each kind there is one. */
static void look(const struct scene *scene, struct picture *picture)
{
	struct timespec now = { 0, 0 };
	struct timeval at_once = { 0, 0 };
	struct dvpoll ask = { picture->entries, 8, 0, NULL };
	struct kevent swap;

	memset(picture, 0, sizeof(*picture));
	picture->counts[0] = kevent(scene->queue, NULL, 0, picture->kevents, 8, &now);
	if (picture->counts[0] == 2 && picture->kevents[0].filter == EVFILT_USER) {
		swap = picture->kevents[0];
		picture->kevents[0] = picture->kevents[1];
		picture->kevents[1] = swap;
	}
	picture->counts[1] = epoll_wait(scene->set, picture->items, 8, 0);
	picture->counts[2] = ioctl(scene->device, DP_POLL, &ask);
	picture->polled[0] = (struct pollfd){ scene->ready[0], POLLIN, 0 };
	picture->polled[1] = (struct pollfd){ scene->idle[0], POLLIN, 0 };
	picture->counts[3] = poll(picture->polled, 2, 0);
	FD_SET(scene->ready[0], &picture->readable);
	FD_SET(scene->idle[0], &picture->readable);
	picture->counts[4] = select(FD_SETSIZE, &picture->readable, NULL, NULL, &at_once);
	memcpy(picture->asked, picture->polled, sizeof(picture->asked));
	picture->counts[5] = ioctl(scene->device, DP_ISPOLLED, &picture->asked[0]) +
			     ioctl(scene->device, DP_ISPOLLED, &picture->asked[1]);
}

/* All is as it was, and what has waited for something is told of it. */
static void end(const struct scene *scene, const struct picture *before)
{
	struct picture after;
	struct kevent enable;
	int patience = 20000, edges = 0, items = 0;

	look(scene, &after);
	ANSWERS(0, memcmp(before, &after, sizeof(after)));
	ANSWERS(1, write(scene->idle[1], "x", 1));
	/* An edge and a one-shot, which the event server tells in its own time. */
	do {
		usleep(1000);
		look(scene, &after);
		edges += after.counts[0] - 2;
		items += after.counts[1] - 1;
	} while ((edges < 1 || items < 1) && --patience > 0);
	ANSWERS(1, edges);
	ANSWERS(1, items);
	look(scene, &after);
	ANSWERS(2, after.counts[0]);
	ANSWERS(1, after.counts[1]);
	ANSWERS(2, after.counts[2]);
	EV_SET(&enable, 8, EVFILT_USER, EV_ENABLE, 0, 0, &tests);
	ANSWERS(0, kevent(scene->queue, &enable, 1, NULL, 0, NULL));
	look(scene, &after);
	ANSWERS(3, after.counts[0]);
	close(scene->queue);
	close(scene->set);
	close(scene->device);
	close(scene->ready[0]);
	close(scene->ready[1]);
	close(scene->idle[0]);
	close(scene->idle[1]);
}

static struct timespec wrong_times[] = {
	{ 0, -1 }, { -1, 0 }, { 0, 1000000000 }, { LONG_MIN, 0 }, { 0, LONG_MAX }, { LONG_MAX, LONG_MIN },
};
#define TIMES (sizeof(wrong_times) / sizeof(wrong_times[0]))

static void sys_event(const struct scene *scene)
{
	struct kevent change, event;
	int queue = scene->queue, idle = scene->idle[1];
	size_t at;
	static const struct {
		short filter;
		unsigned short flags;
		unsigned fflags;
		long data;
		int error;
	} bad[] = {
		{ 0, EV_ADD, 0, 0, EINVAL },
		{ 1, EV_ADD, 0, 0, EINVAL },
		{ SHRT_MIN, EV_ADD, 0, 0, EINVAL },
		{ EVFILT_READ, EV_ADD | EV_DELETE, 0, 0, EINVAL },
		{ EVFILT_READ, EV_ENABLE | EV_DISABLE, 0, 0, EINVAL },
		{ EVFILT_READ, EV_ADD, 0x8000, 0, EINVAL },
		{ EVFILT_EXCEPT, EV_ADD, NOTE_OOB, 0, EINVAL },
		{ EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, EINVAL },
		{ EVFILT_WRITE, EV_ADD, 0, 0, EINVAL },
		{ EVFILT_TIMER, EV_ADD, 0, -1, EINVAL },
		{ EVFILT_TIMER, EV_ADD, 0x8000, 1, EINVAL },
		{ EVFILT_WRITE, EV_DELETE, 0, 0, ENOENT },
		{ EVFILT_USER, EV_ENABLE, 0, 0, ENOENT },
	};

	EV_SET(&change, idle, EVFILT_WRITE, EV_ADD | EV_WAKEONE, 0, 0, NULL);
	REFUSED(ENOENT, kevent_wake_policy(queue, (uintptr_t)idle, EVFILT_WRITE, WAKE_ALL));
	ANSWERS(0, kevent(queue, &change, 1, NULL, 0, NULL));
	REFUSED(EINVAL, kevent_wake_policy(queue, (uintptr_t)idle, EVFILT_WRITE, WAKE_AUTO + 1));
	REFUSED(EBADF, kevent_file_wake_policy(CLOSED, (uintptr_t)idle, EVFILT_WRITE, WAKE_AUTO));
	REFUSED(EBADF, kevent_file_wake_policy(queue, CLOSED, EVFILT_WRITE, WAKE_AUTO));
	ANSWERS(0, kevent_wake_policy(queue, (uintptr_t)idle, EVFILT_WRITE, WAKE_ONE_PER_CPU));
	ANSWERS(0, kevent_file_wake_policy(queue, (uintptr_t)idle, EVFILT_WRITE, WAKE_ONE_OTHER_CPU));
	change.flags = EV_DELETE;
	ANSWERS(0, kevent(queue, &change, 1, NULL, 0, NULL));
	REFUSED(EBADF, kevent(CLOSED, NULL, 0, NULL, 0, NULL));
	REFUSED(EBADF, kevent(-1, NULL, 0, NULL, 0, NULL));
	REFUSED(EBADF, kevent(INT_MIN, NULL, 0, NULL, 0, NULL));
	REFUSED(EBADF, kevent(scene->set, NULL, 0, NULL, 0, NULL));
	REFUSED(EBADF, kevent(scene->ready[0], NULL, 0, NULL, 0, NULL));
	EV_SET(&change, scene->ready[0], EVFILT_READ, EV_DELETE, 0, 0, NULL);
	REFUSED(EINVAL, kevent(queue, &change, INT_MIN, NULL, 0, NULL));
	REFUSED(EINVAL, kevent(queue, &change, -1, &event, 1, NULL));
	REFUSED(EINVAL, kevent(queue, &change, 1, &event, -1, NULL));
	REFUSED(EFAULT, kevent(queue, NULL, 1, NULL, 0, NULL));
	REFUSED(EFAULT, kevent(queue, &change, 1, NULL, INT_MAX, NULL));
	for (at = 0; at < TIMES; at++)
		REFUSED(EINVAL, kevent(queue, &change, 1, &event, 1, &wrong_times[at]));
	for (at = 0; at < sizeof(bad) / sizeof(bad[0]); at++) {
		EV_SET(&change, scene->ready[0], bad[at].filter, bad[at].flags, bad[at].fflags, bad[at].data, NULL);
		REFUSED(bad[at].error, kevent(queue, &change, 1, NULL, 0, NULL));
		/* With room for it the answer is an event. */
		ANSWERS(1, kevent(queue, &change, 1, &event, 1, NULL));
		ANSWERS(EV_ERROR, event.flags);
		ANSWERS(bad[at].error, event.data);
	}
	EV_SET(&change, CLOSED, EVFILT_READ, EV_ADD, 0, 0, NULL);
	REFUSED(EBADF, kevent(queue, &change, 1, NULL, 0, NULL));
	EV_SET(&change, UINTPTR_MAX, EVFILT_READ, EV_ADD, 0, 0, NULL);
	REFUSED(EBADF, kevent(queue, &change, 1, NULL, 0, NULL));
	EV_SET(&change, queue, EVFILT_READ, EV_ADD, 0, 0, NULL);
	REFUSED(EINVAL, kevent(queue, &change, 1, NULL, 0, NULL));
}

static void poll_h(const struct scene *scene)
{
	struct pollfd entry = { scene->ready[0], POLLIN, 77 };
	size_t at;

	REFUSED(EFAULT, poll(NULL, 1, 0));
	REFUSED(EFAULT, ppoll(NULL, 1, NULL, NULL));
	REFUSED(EINVAL, poll(&entry, ULONG_MAX, 0));
	REFUSED(EINVAL, poll(&entry, 65537, 0));
	REFUSED(EINVAL, ppoll(&entry, ULONG_MAX, NULL, NULL));
	for (at = 0; at < TIMES; at++)
		REFUSED(EINVAL, ppoll(&entry, 1, &wrong_times[at], NULL));
	ANSWERS(77, entry.revents);
	ANSWERS(0, poll(NULL, 0, 0));
	/* A number that is not open is no error. */
	entry.fd = CLOSED;
	ANSWERS(1, poll(&entry, 1, -1));
	ANSWERS(POLLNVAL, entry.revents);
	entry.fd = INT_MIN;
	ANSWERS(0, poll(&entry, 1, 0));
	ANSWERS(0, entry.revents);
}

static void sys_select(const struct scene *scene)
{
	struct timeval wrong[] = { { -1, 0 }, { 0, -1 }, { 0, 1000000 }, { LONG_MIN, 0 }, { 0, LONG_MAX } };
	fd_set bits, before;
	size_t at;

	FD_ZERO(&bits);
	FD_SET(scene->idle[0], &bits);
	before = bits;
	REFUSED(EINVAL, select(-1, &bits, NULL, NULL, NULL));
	REFUSED(EINVAL, select(INT_MIN, &bits, &bits, &bits, NULL));
	REFUSED(EINVAL, select(FD_SETSIZE + 1, &bits, NULL, NULL, NULL));
	REFUSED(EINVAL, select(INT_MAX, &bits, NULL, NULL, NULL));
	REFUSED(EINVAL, pselect(-1, &bits, NULL, NULL, NULL, NULL));
	for (at = 0; at < sizeof(wrong) / sizeof(wrong[0]); at++)
		REFUSED(EINVAL, select(FD_SETSIZE, &bits, NULL, NULL, &wrong[at]));
	for (at = 0; at < TIMES; at++)
		REFUSED(EINVAL, pselect(FD_SETSIZE, &bits, NULL, NULL, &wrong_times[at], NULL));
	ANSWERS(0, memcmp(&bits, &before, sizeof(bits)));
	FD_SET(CLOSED, &bits);
	before = bits;
	REFUSED(EBADF, select(FD_SETSIZE, &bits, NULL, NULL, NULL));
	REFUSED(EBADF, select(FD_SETSIZE, NULL, NULL, &bits, NULL));
	ANSWERS(0, memcmp(&bits, &before, sizeof(bits)));
}

static void sys_epoll(const struct scene *scene)
{
	struct epoll_event item = { EPOLLOUT, { .u64 = 99 } }, exclusive = { EPOLLIN | EPOLLEXCLUSIVE, { .u64 = 99 } };
	int set = scene->set, ready = scene->ready[0];
	size_t at;

	REFUSED(EINVAL, epoll_create(0));
	REFUSED(EINVAL, epoll_create(INT_MIN));
	REFUSED(EINVAL, epoll_create1(-1));
	REFUSED(EINVAL, epoll_create1(1));
	REFUSED(EBADF, epoll_ctl(CLOSED, EPOLL_CTL_ADD, ready, &item));
	REFUSED(EBADF, epoll_ctl(-1, EPOLL_CTL_DEL, ready, NULL));
	REFUSED(EBADF, epoll_ctl(set, EPOLL_CTL_ADD, CLOSED, &item));
	REFUSED(EBADF, epoll_ctl(set, EPOLL_CTL_MOD, INT_MIN, &item));
	REFUSED(EINVAL, epoll_ctl(set, 0, ready, &item));
	REFUSED(EINVAL, epoll_ctl(set, 4, ready, &item));
	REFUSED(EINVAL, epoll_ctl(set, -1, ready, &item));
	REFUSED(EFAULT, epoll_ctl(set, EPOLL_CTL_ADD, scene->queue, NULL));
	REFUSED(EFAULT, epoll_ctl(set, EPOLL_CTL_MOD, ready, NULL));
	REFUSED(EEXIST, epoll_ctl(set, EPOLL_CTL_ADD, ready, &item));
	REFUSED(ENOENT, epoll_ctl(set, EPOLL_CTL_MOD, scene->idle[1], &item));
	REFUSED(ENOENT, epoll_ctl(set, EPOLL_CTL_DEL, scene->idle[1], NULL));
	REFUSED(EINVAL, epoll_ctl(set, EPOLL_CTL_ADD, set, &item));
	REFUSED(EINVAL, epoll_ctl(ready, EPOLL_CTL_ADD, scene->idle[1], &item));
	REFUSED(EINVAL, epoll_ctl(set, EPOLL_CTL_MOD, ready, &exclusive));
	REFUSED(EINVAL, epoll_wake_policy(set, ready, WAKE_ALL));
	REFUSED(ENOENT, epoll_wake_policy(set, scene->idle[1], WAKE_ALL));
	REFUSED(EBADF, epoll_file_wake_policy(set, CLOSED, WAKE_ALL));
	ANSWERS(0, epoll_ctl(set, EPOLL_CTL_ADD, scene->idle[1], &exclusive));
	REFUSED(EINVAL, epoll_wake_policy(set, scene->idle[1], WAKE_AUTO + 1));
	REFUSED(EINVAL, epoll_wake_policy(set, scene->idle[1], -2));
	REFUSED(EBADF, epoll_wake_policy(CLOSED, scene->idle[1], WAKE_AUTO));
	ANSWERS(0, epoll_wake_policy(set, scene->idle[1], WAKE_ROUND_ROBIN));
	ANSWERS(0, epoll_wake_policy(set, scene->idle[1], -1));
	ANSWERS(0, epoll_file_wake_policy(set, scene->idle[1], WAKE_ONE_THIS_CPU));
	ANSWERS(0, epoll_ctl(set, EPOLL_CTL_DEL, scene->idle[1], NULL));
	exclusive.events |= EPOLLONESHOT;
	REFUSED(EINVAL, epoll_ctl(set, EPOLL_CTL_ADD, scene->ready[1], &exclusive));
	REFUSED(EFAULT, epoll_wait(set, NULL, 1, 0));
	REFUSED(EFAULT, epoll_pwait(set, NULL, 1, 0, NULL));
	REFUSED(EFAULT, epoll_pwait2(set, NULL, 1, NULL, NULL));
	REFUSED(EINVAL, epoll_wait(set, &item, 0, 0));
	REFUSED(EINVAL, epoll_wait(set, &item, -1, 0));
	REFUSED(EINVAL, epoll_wait(set, &item, INT_MAX, 0));
	REFUSED(EINVAL, epoll_pwait(set, &item, INT_MIN, 0, NULL));
	REFUSED(EINVAL, epoll_pwait2(set, &item, 0, NULL, NULL));
	REFUSED(EINVAL, epoll_wait(scene->queue, &item, 1, 0));
	REFUSED(EINVAL, epoll_wait(ready, &item, 1, 0));
	REFUSED(EBADF, epoll_wait(CLOSED, &item, 1, 0));
	REFUSED(EBADF, epoll_pwait(CLOSED, &item, 1, 0, NULL));
	REFUSED(EBADF, epoll_pwait2(-1, &item, 1, NULL, NULL));
	for (at = 0; at < TIMES; at++)
		REFUSED(EINVAL, epoll_pwait2(set, &item, 1, &wrong_times[at], NULL));
	ANSWERS(99, item.data.u64);
}

static void sys_devpoll(const struct scene *scene)
{
	struct pollfd entry = { scene->ready[0], POLLOUT, 0 };
	struct pollfd entries[3] = {
		{ scene->ready[0], POLLREMOVE, 0 }, { scene->ready[1], POLLOUT, 0 }, { scene->idle[0], POLLREMOVE | POLLIN, 0 },
	};
	struct dvpoll nowhere = { NULL, 1, 0, NULL }, too_many = { &entry, 65537, 0, NULL };
	struct dvpoll far_too_many = { &entry, ULONG_MAX, 0, NULL };
	int device = scene->device;

	REFUSED(EFAULT, ioctl(device, DP_POLL, NULL));
	REFUSED(EFAULT, ioctl(device, DP_PPOLL, NULL));
	REFUSED(EFAULT, ioctl(device, DP_POLL, &nowhere));
	REFUSED(EINVAL, ioctl(device, DP_POLL, &too_many));
	REFUSED(EINVAL, ioctl(device, DP_POLL, &far_too_many));
	REFUSED(EFAULT, ioctl(device, DP_ISPOLLED, NULL));
	REFUSED(EINVAL, ioctl(scene->queue, DP_ISPOLLED, &entry));
	REFUSED(EBADF, ioctl(CLOSED, DP_ISPOLLED, &entry));
	nowhere.dp_fds = &entry;
	REFUSED(EBADF, ioctl(CLOSED, DP_POLL, &nowhere));
	REFUSED(EINVAL, ioctl(scene->set, DP_POLL, &nowhere));
	REFUSED(EINVAL, write(device, &entry, 7));
	REFUSED(EINVAL, write(device, entries, sizeof(entries) - 1));
	REFUSED(EINVAL, write(device, entries, sizeof(entries)));
	REFUSED(EFAULT, write(device, NULL, sizeof(entry)));
	entry.fd = device;
	REFUSED(EINVAL, write(device, &entry, sizeof(entry)));
}

static void events(const char *name, void (*refuse)(const struct scene *))
{
	struct scene scene;
	struct picture before;

	begin(&scene);
	look(&scene, &before);
	/* Nothing is compared with nothing. */
	ANSWERS(2, before.counts[0]);
	ANSWERS(1, before.counts[1]);
	ANSWERS(1, before.counts[2]);
	ANSWERS(1, before.counts[3]);
	ANSWERS(1, before.counts[4]);
	ANSWERS(2, before.counts[5]);
	refuse(&scene);
	end(&scene, &before);
	tell(name);
}

static void descriptors(void)
{
	char byte;
	int number, ends[2];

	REFUSED(EBADF, read(CLOSED, &byte, 1));
	REFUSED(EBADF, write(-1, &byte, 1));
	REFUSED(EFAULT, write(1, NULL, 1));
	REFUSED(EINVAL, write(1, &byte, SIZE_MAX));
	REFUSED(EFAULT, read(0, NULL, 1));
	REFUSED(EBADF, close(CLOSED));
	REFUSED(EBADF, close(INT_MIN));
	REFUSED(EBADF, dup(CLOSED));
	REFUSED(EBADF, dup2(CLOSED, 3));
	REFUSED(EBADF, dup2(1, -1));
	REFUSED(EBADF, dup2(1, INT_MAX));
	REFUSED(EBADF, fcntl(CLOSED, F_GETFL));
	REFUSED(EBADF, fcntl(CLOSED, F_DUPFD, 0));
	REFUSED(EINVAL, fcntl(1, F_DUPFD, -1));
	REFUSED(EINVAL, fcntl(1, -1));
	REFUSED(ENOTTY, ioctl(1, 0xffffffff, NULL));
	REFUSED(EBADF, ioctl(CLOSED, FIONREAD, &number));
	REFUSED(EFAULT, ioctl(1, FIONBIO, NULL));
	REFUSED(EFAULT, pipe(NULL));
	REFUSED(EFAULT, pipe2(NULL, O_NONBLOCK));
	REFUSED(EINVAL, pipe2(ends, 1));
	REFUSED(EBADF, lseek(CLOSED, 0, SEEK_SET));
	REFUSED(EINVAL, lseek(1, 0, 9));
	REFUSED(EINVAL, pread(1, &byte, 1, -1));
	REFUSED(EFAULT, pwrite(1, NULL, 1, 0));
	REFUSED(EINVAL, ftruncate(1, -1));
	REFUSED(EBADF, ftruncate(CLOSED, 0));
	ANSWERS(0, isatty(CLOSED));
	tell("descriptors");
}

static void paths(void)
{
	struct stat stat_of;
	char path[PATH_MAX + 100];

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	REFUSED(EFAULT, open(NULL, O_RDONLY));
	REFUSED(ENAMETOOLONG, open(path, O_RDONLY));
	REFUSED(ENOENT, open("", O_RDONLY));
	REFUSED(EINVAL, open("/tmp/\xff", O_RDONLY));
	REFUSED(EFAULT, stat(NULL, &stat_of));
	REFUSED(EFAULT, stat("/tmp", NULL));
	REFUSED(EBADF, fstat(CLOSED, &stat_of));
	REFUSED(EFAULT, unlink(NULL));
	REFUSED(EFAULT, rmdir(NULL));
	REFUSED(EFAULT, mkdir(NULL, 0));
	REFUSED(EFAULT, mkfifo(NULL, 0));
	REFUSED(EFAULT, chmod(NULL, 0));
	REFUSED(EFAULT, rename(NULL, "/tmp/a"));
	REFUSED(EFAULT, rename("/tmp/a", NULL));
	REFUSED(EFAULT, link(NULL, NULL));
	REFUSED(EFAULT, truncate(NULL, 0));
	REFUSED(EINVAL, truncate("/tmp", -1));
	REFUSED(EINVAL, closedir(NULL));
	ANSWERS(NULL, opendir(NULL));
	ANSWERS(NULL, readdir(NULL));
	ANSWERS(NULL, getcwd(path, 1));
	tell("paths");
}

static void sockets(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct msghdr message = { 0 };
	struct sockaddr *to = (struct sockaddr *)&address;
	char byte = 0;
	int pair[2];

	REFUSED(EAFNOSUPPORT, socket(0, SOCK_STREAM, 0));
	REFUSED(EINVAL, socket(AF_UNIX, 99, 0));
	REFUSED(EPROTONOSUPPORT, socket(AF_UNIX, SOCK_STREAM, 7));
	REFUSED(EFAULT, socketpair(AF_UNIX, SOCK_STREAM, 0, NULL));
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	REFUSED(EFAULT, bind(pair[0], NULL, 2));
	REFUSED(EINVAL, bind(pair[0], to, 1));
	REFUSED(ENAMETOOLONG, bind(pair[0], to, 4000));
	REFUSED(EBADF, listen(CLOSED, 1));
	REFUSED(EBADF, accept(CLOSED, NULL, NULL));
	REFUSED(EINVAL, accept4(pair[0], NULL, NULL, 1));
	REFUSED(EINVAL, shutdown(pair[0], 3));
	REFUSED(EINVAL, send(pair[0], &byte, 1, 0x8000));
	REFUSED(EFAULT, send(pair[0], NULL, 1, 0));
	REFUSED(EFAULT, recv(pair[0], NULL, 1, MSG_DONTWAIT));
	REFUSED(EFAULT, sendmsg(pair[0], NULL, 0));
	REFUSED(EFAULT, recvmsg(pair[0], NULL, MSG_DONTWAIT));
	message.msg_iovlen = 1;
	REFUSED(EFAULT, sendmsg(pair[0], &message, 0));
	message.msg_iovlen = 0;
	message.msg_controllen = 100;
	REFUSED(EFAULT, sendmsg(pair[0], &message, 0));
	REFUSED(EFAULT, getsockopt(pair[0], SOL_SOCKET, SO_TYPE, NULL, NULL));
	REFUSED(ENOPROTOOPT, setsockopt(pair[0], 0, 0, &tests, sizeof(tests)));
	REFUSED(EINVAL, setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &byte, 1));
	close(pair[0]);
	close(pair[1]);
	tell("sockets");
}

static void *nothing(void *argument)
{
	return argument;
}

static void threads_and_signals(void)
{
	struct timespec wrong = { 0, 1000000000 };
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_attr_t small;
	struct sigaction action = { .sa_flags = SA_SIGINFO };
	int status;

	ANSWERS(EINVAL, pthread_mutex_lock(NULL));
	ANSWERS(EPERM, pthread_mutex_unlock(&mutex));
	ANSWERS(EINVAL, pthread_cond_signal(NULL));
	ANSWERS(EINVAL, pthread_cond_wait(NULL, &mutex));
	ANSWERS(EFAULT, pthread_mutex_init(NULL, NULL));
	ANSWERS(EINVAL, pthread_setspecific(PTHREAD_KEYS_MAX, NULL));
	ANSWERS(EINVAL, pthread_key_delete(UINT_MAX));
	ANSWERS(EFAULT, pthread_key_create(NULL, NULL));
	ANSWERS(EINVAL, pthread_detach(NULL));
	ANSWERS(EFAULT, pthread_create(NULL, NULL, nothing, NULL));
	ANSWERS(0, pthread_attr_init(&small));
	ANSWERS(EINVAL, pthread_attr_setstacksize(&small, 1));
	REFUSED(EINVAL, sigaction(0, NULL, NULL));
	REFUSED(EINVAL, sigaction(65, NULL, NULL));
	REFUSED(ENOSYS, sigaction(SIGUSR1, &action, NULL));
	REFUSED(EFAULT, sigpending(NULL));
	REFUSED(EFAULT, sigsuspend(NULL));
	REFUSED(EINVAL, raise(99));
	REFUSED(EINVAL, kill(0, SIGTERM));
	REFUSED(EINVAL, kill(-5, SIGTERM));
	REFUSED(ECHILD, waitpid(-1, &status, 0));
	REFUSED(EINVAL, waitpid(-1, &status, 99));
	REFUSED(EFAULT, clock_gettime(CLOCK_REALTIME, NULL));
	REFUSED(EINVAL, clock_getres(0, NULL));
	REFUSED(EFAULT, nanosleep(NULL, NULL));
	REFUSED(EINVAL, nanosleep(&wrong, NULL));
	REFUSED(EFAULT, gettimeofday(NULL, NULL));
	REFUSED(EFAULT, puts(NULL));
	REFUSED(EFAULT, fputs(NULL, stdout));
	tell("threads_and_signals");
}

int main(void)
{
	events("sys_event", sys_event);
	events("poll", poll_h);
	events("sys_select", sys_select);
	events("sys_epoll", sys_epoll);
	events("sys_devpoll", sys_devpoll);
	descriptors();
	paths();
	sockets();
	threads_and_signals();
	printf("tests done %d\n", tests);
	return failures > 0;
}
