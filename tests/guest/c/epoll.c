/* sys/epoll.h: what the twin in Rust does, in C. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

static int set;

static void control(const char *what, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { events, { .u64 = data } };
	int result = epoll_ctl(set, op, fd, &event);

	printf("%s %d %d\n", what, result, result < 0 ? errno : 0);
}

static void wait(const char *what, int room, int timeout)
{
	struct epoll_event events[4];
	int count = epoll_wait(set, events, room, timeout);

	printf("%s %d", what, count);
	for (int i = 0; i < count; i++)
		printf(" %#x:%lu", events[i].events, events[i].data.u64);
	printf("\n");
}

int main(void)
{
	int file, again, result;

	puts("begin");
	set = epoll_create1(EPOLL_CLOEXEC);
	file = open("/dev/template", O_RDWR | O_NONBLOCK);
	control("add", EPOLL_CTL_ADD, file, EPOLLIN | EPOLLOUT, 7);
	wait("writable", 4, -1);
	printf("wrote %ld\n", write(file, "hello", 5));
	wait("both", 4, -1);
	control("again", EPOLL_CTL_ADD, file, EPOLLIN, 8);
	control("modify", EPOLL_CTL_MOD, file, EPOLLIN | EPOLLONESHOT, 9);
	wait("once", 4, -1);
	wait("silent", 4, 0);
	control("edge", EPOLL_CTL_MOD, file, EPOLLIN | EPOLLET, 10);
	wait("edge", 4, -1);
	wait("no edge", 4, 0);
	again = dup(file);
	control("duplicate", EPOLL_CTL_ADD, again, EPOLLIN, 11);
	wait("duplicate", 4, -1);
	control("delete", EPOLL_CTL_DEL, again, 0, 0);
	control("delete again", EPOLL_CTL_DEL, again, 0, 0);
	control("itself", EPOLL_CTL_ADD, set, EPOLLIN, 0);
	control("no descriptor", EPOLL_CTL_ADD, 999, EPOLLIN, 0);
	control("no operation", 4, file, EPOLLIN, 0);
	result = epoll_ctl(set, EPOLL_CTL_MOD, file, NULL);
	printf("no event %d %d\n", result, errno == EFAULT);
	result = epoll_wait(set, NULL, 0, 0);
	printf("no room %d %d\n", result, errno == EINVAL);
	result = epoll_wait(set, NULL, 1, 0);
	printf("no list %d %d\n", result, errno == EFAULT);
	result = epoll_create1(1);
	printf("no flag %d %d\n", result, errno == EINVAL);
	puts("end");
	return 0;
}
