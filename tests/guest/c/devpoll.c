/* sys/devpoll.h: what the twin in Rust does, in C. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/devpoll.h>
#include <unistd.h>

static int set;

static void entry(const char *what, int fd, short events)
{
	struct pollfd entry = { .fd = fd, .events = events };
	ssize_t result = write(set, &entry, sizeof(entry));

	printf("%s %d\n", what, result == sizeof(entry));
}

static void wait(const char *what, int timeout)
{
	struct pollfd list[4];
	struct dvpoll ask = { .dp_fds = list, .dp_nfds = 4, .dp_timeout = timeout };
	int count = ioctl(set, DP_POLL, &ask);

	printf("%s %d", what, count);
	for (int i = 0; i < count; i++)
		printf(" %#x", list[i].revents);
	printf("\n");
}

static void polled(const char *what, int fd)
{
	struct pollfd entry = { .fd = fd };
	int result = ioctl(set, DP_ISPOLLED, &entry);

	printf("%s %d %#x\n", what, result, result == 1 ? entry.events | entry.revents : 0);
}

int main(void)
{
	int file, result;

	puts("begin");
	set = open("/dev/poll", O_RDWR);
	file = open("/dev/template", O_RDWR | O_NONBLOCK);
	entry("add", file, POLLIN);
	wait("nothing yet", 0);
	polled("is polled", file);
	entry("widen", file, POLLOUT);
	polled("is polled", file);
	wait("writable", -1);
	printf("wrote %ld\n", write(file, "hello", 5));
	wait("both", -1);
	entry("remove", file, POLLREMOVE);
	polled("is not polled", file);
	entry("a closed number", 999, POLLIN);
	wait("a closed number", -1);
	result = (int)write(set, &result, 3);
	printf("no entry %d %d\n", result, errno == EINVAL);
	result = ioctl(set, DP_POLL, NULL);
	printf("no question %d %d\n", result, errno == EFAULT);
	puts("end");
	return 0;
}
