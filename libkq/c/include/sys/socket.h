/* Local sockets, and TCP and UDP over IPv4. */
#ifndef KQ_SYS_SOCKET_H
#define KQ_SYS_SOCKET_H

#include <sys/types.h>
#include <sys/uio.h>

typedef unsigned socklen_t;
typedef unsigned short sa_family_t;

#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_LOCAL AF_UNIX
#define AF_INET 2
#define PF_UNSPEC AF_UNSPEC
#define PF_UNIX AF_UNIX
#define PF_LOCAL AF_UNIX
#define PF_INET AF_INET

#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_SEQPACKET 5
/* The values of O_NONBLOCK and O_CLOEXEC. */
#define SOCK_NONBLOCK 0x00040000
#define SOCK_CLOEXEC 0x01000000

#define SOL_SOCKET 1
#define SO_REUSEADDR 2
#define SO_TYPE 3
#define SO_ERROR 4
#define SO_SNDBUF 7
#define SO_RCVBUF 8
#define SO_KEEPALIVE 9
#define SO_OOBINLINE 10
#define SO_REUSEPORT 15
#define SO_RCVLOWAT 18
#define SO_SNDLOWAT 19
#define SO_ACCEPTCONN 30

/* The values are those of the messages between libkq and drivers. */
#define MSG_DONTWAIT 0x0001
#define MSG_OOB 0x0002
#define MSG_PEEK 0x0004
#define MSG_WAITALL 0x0008
#define MSG_TRUNC 0x0010
#define MSG_CTRUNC 0x0020
#define MSG_EOR 0x0040
#define MSG_NOSIGNAL 0x4000

#define SHUT_RD 0
#define SHUT_WR 1
#define SHUT_RDWR 2

#define SOMAXCONN 128

/* The only kind of control message: descriptors, three at most. */
#define SCM_RIGHTS 1

struct sockaddr {
	sa_family_t sa_family;
	char sa_data[14];
};

struct sockaddr_storage {
	sa_family_t ss_family;
	char __data[126];
};

struct msghdr {
	void *msg_name;
	socklen_t msg_namelen;
	struct iovec *msg_iov;
	size_t msg_iovlen;
	void *msg_control;
	size_t msg_controllen;
	int msg_flags;
};

struct cmsghdr {
	size_t cmsg_len;
	int cmsg_level;
	int cmsg_type;
};

#define CMSG_ALIGN(length) (((length) + sizeof(size_t) - 1) & ~(sizeof(size_t) - 1))
#define CMSG_LEN(length) (sizeof(struct cmsghdr) + (length))
#define CMSG_SPACE(length) CMSG_ALIGN(CMSG_LEN(length))
#define CMSG_DATA(message) ((unsigned char *)((message) + 1))
#define CMSG_FIRSTHDR(header) \
	((header)->msg_controllen >= sizeof(struct cmsghdr) ? (struct cmsghdr *)(header)->msg_control : \
							      (struct cmsghdr *)NULL)
#define CMSG_NXTHDR(header, message) __kq_next_message(header, message)

static inline struct cmsghdr *__kq_next_message(const struct msghdr *header, struct cmsghdr *message)
{
	size_t at = (size_t)((char *)message - (char *)header->msg_control) + CMSG_ALIGN(message->cmsg_len);

	if (message->cmsg_len < sizeof(*message) || at + sizeof(*message) > header->msg_controllen)
		return NULL;
	return (struct cmsghdr *)((char *)header->msg_control + at);
}

int socket(int domain, int type, int protocol);
int socketpair(int domain, int type, int protocol, int pair[2]);
int bind(int fd, const struct sockaddr *address, socklen_t length);
int listen(int fd, int backlog);
int accept(int fd, struct sockaddr *address, socklen_t *length);
int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int connect(int fd, const struct sockaddr *address, socklen_t length);
int shutdown(int fd, int how);
ssize_t send(int fd, const void *bytes, size_t length, int flags);
ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t to_length);
ssize_t sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t recv(int fd, void *buffer, size_t length, int flags);
ssize_t recvfrom(int fd, void *buffer, size_t length, int flags, struct sockaddr *from, socklen_t *from_length);
ssize_t recvmsg(int fd, struct msghdr *message, int flags);
int getsockopt(int fd, int level, int option, void *value, socklen_t *length);
int setsockopt(int fd, int level, int option, const void *value, socklen_t length);
int getsockname(int fd, struct sockaddr *address, socklen_t *length);
int getpeername(int fd, struct sockaddr *address, socklen_t *length);
int sockatmark(int fd);

#endif
