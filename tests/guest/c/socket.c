/* sys/socket.h, sys/un.h, pipes: what the twin in Rust does, in C. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void stream(void)
{
	char bytes[16];
	int pair[2], result;

	printf("pair %d\n", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	printf("sent %ld\n", send(pair[0], "hello", 5, MSG_NOSIGNAL));
	printf("peeked %ld\n", recv(pair[1], bytes, 2, MSG_PEEK));
	printf("received %ld\n", recv(pair[1], bytes, sizeof(bytes), 0));
	result = (int)recv(pair[1], bytes, sizeof(bytes), MSG_DONTWAIT);
	printf("nothing %d %d\n", result, errno == EAGAIN);
	printf("shut %d\n", shutdown(pair[0], SHUT_WR));
	printf("the end %ld\n", recv(pair[1], bytes, sizeof(bytes), 0));
	close(pair[1]);
	signal(SIGPIPE, SIG_IGN);
	result = (int)send(pair[0], "x", 1, 0);
	printf("broken %d %d\n", result, errno == EPIPE);
	close(pair[0]);
}

static void connection(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/socket/c" }, from;
	socklen_t length = sizeof(address), type_length = sizeof(int);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	int client = socket(AF_UNIX, SOCK_STREAM, 0);
	int server, type = 0, result;
	struct pollfd ask;

	result = connect(client, (struct sockaddr *)&address, length);
	printf("nobody listens %d %d\n", result, result < 0 ? errno : 0);
	printf("bind %d\n", bind(listener, (struct sockaddr *)&address, length));
	printf("listen %d\n", listen(listener, 5));
	printf("connect %d\n", connect(client, (struct sockaddr *)&address, length));
	ask = (struct pollfd){ .fd = listener, .events = POLLIN };
	printf("poll %d\n", poll(&ask, 1, -1));
	server = accept(listener, NULL, NULL);
	printf("accept %d\n", server >= 0);
	printf("type %d", getsockopt(server, SOL_SOCKET, SO_TYPE, &type, &type_length));
	printf(" %d\n", type);
	length = sizeof(from);
	printf("peer %d", getpeername(client, (struct sockaddr *)&from, &length));
	printf(" %s %d\n", from.sun_path,
	       length == offsetof(struct sockaddr_un, sun_path) + strlen(address.sun_path) + 1);
	result = socket(99, SOCK_STREAM, 0);
	printf("no domain %d %d\n", result, errno == EAFNOSUPPORT);
	result = bind(listener, NULL, 10);
	printf("no address %d %d\n", result, errno == EFAULT);
	close(server);
	close(client);
	close(listener);
}

static void descriptors(void)
{
	int pair[2], ends[2], sent;
	char byte = 'x', bytes[4] = "", control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec piece = { &byte, 1 };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = CMSG_LEN(sizeof(int)) };
	struct cmsghdr *with = CMSG_FIRSTHDR(&message);

	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	printf("pipe %d\n", pipe(ends));
	with->cmsg_len = CMSG_LEN(sizeof(int));
	with->cmsg_level = SOL_SOCKET;
	with->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(with), &ends[1], sizeof(int));
	printf("sent %ld\n", sendmsg(pair[0], &message, 0));
	close(ends[1]);
	message.msg_controllen = sizeof(control);
	printf("received %ld", recvmsg(pair[1], &message, 0));
	with = CMSG_FIRSTHDR(&message);
	memcpy(&sent, CMSG_DATA(with), sizeof(int));
	printf(" %c, descriptors %lu\n", byte, (with->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	printf("wrote %ld\n", write(sent, "abc", 3));
	close(sent);
	printf("read %ld", read(ends[0], bytes, sizeof(bytes)));
	printf(" %.3s\n", bytes);
	printf("the end %ld\n", read(ends[0], bytes, sizeof(bytes)));
}

int main(void)
{
	puts("begin");
	stream();
	connection();
	descriptors();
	puts("end");
	return 0;
}
