/* What is not there: every call is given null pointers, impossible counts and closed numbers, and says so. */

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

static int tests, failures;

/* The first thing that was wrong in a test. */
static const char *flaw;

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

static void tell(const char *name)
{
	tests++;
	if (flaw == NULL) {
		printf("test %s ok\n", name);
	} else {
		failures++;
		printf("test %s FAILED %s\n", name, flaw);
	}
	flaw = NULL;
}

#define CLOSED 999

static void events(void)
{
	struct kevent event;
	struct pollfd entry = { .fd = -1 };
	struct epoll_event item = { 0 };
	struct timespec wrong = { 0, -1 };
	struct timeval wrong_too = { -1, 0 };
	struct dvpoll ask = { .dp_nfds = 1 };
	fd_set bits;
	int queue = kqueue(), set = epoll_create1(0), device = open("/dev/poll", O_RDWR);

	FD_ZERO(&bits);
	REFUSED(EBADF, kevent(CLOSED, NULL, 0, NULL, 0, NULL));
	REFUSED(EBADF, kevent(-1, NULL, 0, NULL, 0, NULL));
	REFUSED(EBADF, kevent(set, NULL, 0, NULL, 0, NULL));
	REFUSED(EINVAL, kevent(queue, NULL, INT_MIN, NULL, 0, NULL));
	REFUSED(EINVAL, kevent(queue, NULL, 0, &event, -1, NULL));
	REFUSED(EFAULT, kevent(queue, NULL, 1, NULL, 0, NULL));
	REFUSED(EFAULT, kevent(queue, NULL, 0, NULL, INT_MAX, NULL));
	REFUSED(EINVAL, kevent(queue, NULL, 0, &event, 1, &wrong));
	REFUSED(EFAULT, poll(NULL, 1, 0));
	REFUSED(EINVAL, poll(&entry, ULONG_MAX, 0));
	REFUSED(EINVAL, ppoll(&entry, 1, &wrong, NULL));
	REFUSED(EINVAL, select(-1, NULL, NULL, NULL, NULL));
	REFUSED(EINVAL, select(FD_SETSIZE + 64, &bits, NULL, NULL, NULL));
	REFUSED(EINVAL, select(1, &bits, NULL, NULL, &wrong_too));
	REFUSED(EINVAL, pselect(1, &bits, NULL, NULL, &wrong, NULL));
	REFUSED(EINVAL, epoll_create(0));
	REFUSED(EINVAL, epoll_create1(-1));
	REFUSED(EBADF, epoll_ctl(CLOSED, EPOLL_CTL_ADD, queue, &item));
	REFUSED(EBADF, epoll_ctl(set, EPOLL_CTL_ADD, CLOSED, &item));
	REFUSED(EINVAL, epoll_ctl(set, 0, queue, &item));
	REFUSED(EFAULT, epoll_ctl(set, EPOLL_CTL_ADD, queue, NULL));
	REFUSED(EFAULT, epoll_wait(set, NULL, 1, 0));
	REFUSED(EINVAL, epoll_wait(set, &item, 0, 0));
	REFUSED(EINVAL, epoll_wait(set, &item, -1, 0));
	REFUSED(EINVAL, epoll_wait(queue, &item, 1, 0));
	REFUSED(EBADF, epoll_pwait(CLOSED, &item, 1, 0, NULL));
	REFUSED(EINVAL, epoll_pwait2(set, &item, 1, &wrong, NULL));
	REFUSED(EFAULT, ioctl(device, DP_POLL, NULL));
	REFUSED(EFAULT, ioctl(device, DP_POLL, &ask));
	REFUSED(EFAULT, ioctl(device, DP_ISPOLLED, NULL));
	REFUSED(EINVAL, ioctl(queue, DP_ISPOLLED, &entry));
	REFUSED(EINVAL, write(device, &entry, 7));
	REFUSED(EFAULT, write(device, NULL, sizeof(entry)));
	close(queue);
	close(set);
	close(device);
	tell("events");
}

static void descriptors(void)
{
	char byte;
	int number;

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
	events();
	descriptors();
	paths();
	sockets();
	threads_and_signals();
	printf("tests done %d\n", tests);
	return failures > 0;
}
