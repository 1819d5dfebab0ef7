/* sys/select.h: what the twin in Rust does, in C. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/select.h>
#include <unistd.h>

int main(void)
{
	fd_set read_set, write_set, except_set;
	struct timeval zero = { 0, 0 };
	int file, other, count;

	puts("begin");
	file = open("/dev/template", O_RDWR | O_NONBLOCK);
	other = open("/dev/template", O_RDWR | O_NONBLOCK);
	FD_ZERO(&read_set);
	FD_SET(file, &read_set);
	FD_SET(other, &read_set);
	printf("nothing yet %d", select(other + 1, &read_set, NULL, NULL, &zero));
	printf(" %d %d\n", FD_ISSET(file, &read_set), FD_ISSET(other, &read_set));
	printf("wrote %ld\n", write(other, "hello", 5));
	FD_SET(file, &read_set);
	FD_SET(other, &read_set);
	FD_ZERO(&write_set);
	FD_SET(file, &write_set);
	FD_ZERO(&except_set);
	FD_SET(other, &except_set);
	printf("ready %d:", select(other + 1, &read_set, &write_set, &except_set, NULL));
	printf(" %d %d %d %d\n", FD_ISSET(file, &read_set), FD_ISSET(other, &read_set),
	       FD_ISSET(file, &write_set), FD_ISSET(other, &except_set));
	FD_SET(900, &read_set);
	count = select(901, &read_set, NULL, NULL, &zero);
	printf("a closed number %d %d, untouched %d\n", count, errno == EBADF, FD_ISSET(900, &read_set));
	count = select(-1, NULL, NULL, NULL, &zero);
	printf("a negative count %d %d\n", count, errno == EINVAL);
	zero.tv_usec = 1000000;
	count = select(0, NULL, NULL, NULL, &zero);
	printf("no time %d %d\n", count, errno == EINVAL);
	FD_CLR(900, &read_set);
	printf("pselect %d\n", pselect(other + 1, &read_set, NULL, NULL, NULL, NULL));
	puts("end");
	return 0;
}
