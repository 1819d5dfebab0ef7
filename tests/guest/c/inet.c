/* netinet/in.h, arpa/inet.h, and sys/socket.h with AF_INET: a connection and datagrams of the machine with itself. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int wrong;

static void expect(const char *what, long got, long wanted)
{
	if (got == wanted)
		return;
	printf("%s: %ld instead of %ld (errno %d)\n", what, got, wanted, errno);
	wrong++;
}

static void text(void)
{
	struct in_addr address;
	char place[INET_ADDRSTRLEN];

	expect("htons", htons(0x1234), 0x3412);
	expect("htonl", htonl(0x12345678), 0x78563412);
	expect("inet_pton", inet_pton(AF_INET, "10.0.2.15", &address), 1);
	expect("in network order", ntohl(address.s_addr), 0x0a00020f);
	expect("inet_ntop", inet_ntop(AF_INET, &address, place, sizeof(place)) == place, 1);
	expect("the same text", strcmp(place, "10.0.2.15"), 0);
	expect("inet_ntoa", strcmp(inet_ntoa(address), "10.0.2.15"), 0);
	expect("no address", inet_pton(AF_INET, "10.0.2", &address), 0);
	expect("no family", inet_pton(99, "10.0.2.15", &address), -1);
	expect("EAFNOSUPPORT", errno, EAFNOSUPPORT);
	expect("no room", inet_ntop(AF_INET, &address, place, 9) == NULL, 1);
	expect("ENOSPC", errno, ENOSPC);
	expect("inet_addr", inet_addr("127.0.0.1") == htonl(INADDR_LOOPBACK), 1);
	expect("inet_addr of none", inet_addr("here") == INADDR_NONE, 1);
}

static struct sockaddr_in at(unsigned short port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static void connection(void)
{
	struct sockaddr_in address = at(4000), peer, own;
	socklen_t length = sizeof(address);
	struct kevent change, event;
	struct pollfd ask;
	char bytes[16];
	int on = 1, error, kq = kqueue();
	int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), server;

	expect("SO_REUSEADDR", setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	expect("TCP_NODELAY", setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	expect("bind", bind(listener, (struct sockaddr *)&address, length), 0);
	expect("bind again", bind(client, (struct sockaddr *)&address, length), -1);
	expect("EADDRINUSE", errno, EADDRINUSE);
	expect("listen", listen(listener, 5), 0);
	expect("connect", connect(client, (struct sockaddr *)&address, length), -1);
	expect("EINPROGRESS", errno, EINPROGRESS);
	EV_SET(&change, client, EVFILT_WRITE, EV_ADD, 0, 0, NULL);
	expect("kevent", kevent(kq, &change, 1, &event, 1, NULL), 1);
	expect("writable", event.filter == EVFILT_WRITE && !(event.flags & EV_EOF), 1);
	length = sizeof(error);
	expect("SO_ERROR", getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &length), 0);
	expect("no error", error, 0);
	ask = (struct pollfd){ .fd = listener, .events = POLLIN };
	expect("poll", poll(&ask, 1, -1), 1);
	length = sizeof(peer);
	server = accept(listener, (struct sockaddr *)&peer, &length);
	expect("accept", server >= 0, 1);
	expect("length of the peer's address", length, sizeof(peer));
	expect("getsockname", getsockname(client, (struct sockaddr *)&own, &length), 0);
	expect("the peer is the client", peer.sin_port == own.sin_port && peer.sin_family == AF_INET, 1);
	expect("from here", peer.sin_addr.s_addr == htonl(INADDR_LOOPBACK), 1);
	expect("send", send(client, "hello", 5, 0), 5);
	expect("shutdown", shutdown(client, SHUT_WR), 0);
	expect("recv", recv(server, bytes, sizeof(bytes), MSG_WAITALL), 5);
	expect("the end", recv(server, bytes, sizeof(bytes), 0), 0);
	close(server);
	close(client);
	close(listener);
	close(kq);
	client = socket(AF_INET, SOCK_STREAM, 0);
	expect("nobody listens", connect(client, (struct sockaddr *)&address, sizeof(address)), -1);
	expect("ECONNREFUSED", errno, ECONNREFUSED);
	close(client);
}

/* Two listeners at one port, who both ask for it, have a connection each. */
static void shared(void)
{
	struct sockaddr_in address = at(4003);
	int listeners[2], clients[2], on = 1, alone = socket(AF_INET, SOCK_STREAM, 0), each;

	for (each = 0; each < 2; each++) {
		listeners[each] = socket(AF_INET, SOCK_STREAM, 0);
		expect("SO_REUSEPORT", setsockopt(listeners[each], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
		expect("bind", bind(listeners[each], (struct sockaddr *)&address, sizeof(address)), 0);
		expect("listen", listen(listeners[each], 5), 0);
	}
	expect("alone", bind(alone, (struct sockaddr *)&address, sizeof(address)), -1);
	expect("EADDRINUSE", errno, EADDRINUSE);
	for (each = 0; each < 2; each++) {
		clients[each] = socket(AF_INET, SOCK_STREAM, 0);
		expect("connect", connect(clients[each], (struct sockaddr *)&address, sizeof(address)), 0);
	}
	for (each = 0; each < 2; each++) {
		int server = accept(listeners[each], NULL, NULL);

		expect("accept", server >= 0, 1);
		close(server);
		close(clients[each]);
		close(listeners[each]);
	}
	close(alone);
}

/* Who closes first remembers the connection, and a first segment of the same two ends reopens it. */
static void again(void)
{
	struct sockaddr_in to = at(4001), from = at(4002), name;
	int listener = socket(AF_INET, SOCK_STREAM, 0), round;
	socklen_t length;

	expect("bind", bind(listener, (struct sockaddr *)&to, sizeof(to)), 0);
	expect("listen", listen(listener, 5), 0);
	for (round = 0; round < 4; round++) {
		int client = socket(AF_INET, SOCK_STREAM, 0), server;
		char byte;

		length = sizeof(name);
		expect("getsockname of none", getsockname(client, (struct sockaddr *)&name, &length), 0);
		expect("its length", length, sizeof(name));
		expect("no address", name.sin_family == AF_INET && !name.sin_port && !name.sin_addr.s_addr, 1);
		expect("bind to a port", bind(client, (struct sockaddr *)&from, sizeof(from)), 0);
		expect("connect again", connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
		server = accept(listener, NULL, NULL);
		expect("accept again", server >= 0, 1);
		expect("send", send(server, "x", 1, 0), 1);
		memset(&name, 0x55, sizeof(name));
		length = sizeof(name);
		expect("recvfrom", recvfrom(client, &byte, 1, 0, (struct sockaddr *)&name, &length), 1);
		expect("a stream tells no sender", length, 0);
		expect("nothing in its place", name.sin_family, 0x5555);
		close(server);
		expect("the end", recv(client, &byte, 1, 0), 0);
		close(client);
	}
	close(listener);
}

/* More than a message can have: of a stream a part goes. */
static void large(void)
{
	static char bytes[40 << 10];
	struct iovec pieces[2] = { { bytes, sizeof(bytes) }, { bytes, sizeof(bytes) } };
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 2 };
	struct sockaddr_in to = at(4003);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int client = socket(AF_INET, SOCK_STREAM, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0);
	ssize_t sent;

	expect("bind", bind(listener, (struct sockaddr *)&to, sizeof(to)), 0);
	expect("listen", listen(listener, 5), 0);
	expect("connect", connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	sent = sendmsg(client, &message, MSG_DONTWAIT);
	expect("a part", sent > 0 && sent <= 2 * (ssize_t)sizeof(bytes), 1);
	expect("connect", connect(datagram, (struct sockaddr *)&to, sizeof(to)), 0);
	expect("no whole", sendmsg(datagram, &message, MSG_DONTWAIT), -1);
	expect("EMSGSIZE", errno, EMSGSIZE);
	close(datagram);
	close(client);
	close(listener);
}

static void datagrams(void)
{
	struct sockaddr_in address = at(5000), from;
	socklen_t length = sizeof(from);
	char bytes[16];
	int one = socket(AF_INET, SOCK_DGRAM, 0), other = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);

	expect("bind", bind(one, (struct sockaddr *)&address, sizeof(address)), 0);
	expect("sendto", sendto(other, "hello", 5, 0, (struct sockaddr *)&address, sizeof(address)), 5);
	expect("recvfrom", recvfrom(one, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &length), 5);
	expect("sendto back", sendto(one, "hi", 2, 0, (struct sockaddr *)&from, length), 2);
	expect("connect", connect(other, (struct sockaddr *)&address, sizeof(address)), 0);
	expect("recv", recv(other, bytes, sizeof(bytes), 0), 2);
	expect("too short an address", connect(other, (struct sockaddr *)&address, 8), -1);
	expect("EINVAL", errno, EINVAL);
	expect("no such protocol", socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), -1);
	expect("EPROTONOSUPPORT", errno, EPROTONOSUPPORT);
	close(one);
	close(other);
}

int main(void)
{
	text();
	connection();
	again();
	shared();
	large();
	datagrams();
	printf("inet: %d wrong\n", wrong);
	return wrong != 0;
}
