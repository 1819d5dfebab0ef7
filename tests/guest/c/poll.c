/* poll.h: what the twin in Rust does, in C. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	struct pollfd list[5];
	int file, count;

	puts("begin");
	file = open("/dev/template", O_RDWR | O_NONBLOCK);
	list[0] = (struct pollfd){ .fd = file, .events = POLLIN };
	list[1] = (struct pollfd){ .fd = -7, .events = POLLIN, .revents = 99 };
	printf("nothing yet %d", poll(list, 2, 0));
	printf(" %#x %#x\n", list[0].revents, list[1].revents);
	printf("wrote %ld\n", write(file, "hello", 5));
	list[2] = (struct pollfd){ .fd = file, .events = POLLIN | POLLOUT };
	list[3] = (struct pollfd){ .fd = 999 };
	list[4] = (struct pollfd){ .fd = file };
	count = poll(list, 5, -1);
	printf("ready %d:", count);
	for (int i = 0; i < 5; i++)
		printf(" %#x", list[i].revents);
	printf("\nasked %#x\n", list[2].events);
	printf("sleep %d\n", poll(NULL, 0, 1));
	count = poll(NULL, 1, 0);
	printf("no list %d %d\n", count, errno == EFAULT);
	count = poll(list, 1000000, 0);
	printf("too many %d %d\n", count, errno == EINVAL);
	list[0].revents = 0;
	printf("ppoll %d", ppoll(list, 1, &(struct timespec){ 1, 0 }, NULL));
	printf(" %#x\n", list[0].revents);
	close(file);
	printf("closed %d", poll(list, 1, -1));
	printf(" %d\n", list[0].revents == POLLNVAL);
	puts("end");
	return 0;
}
