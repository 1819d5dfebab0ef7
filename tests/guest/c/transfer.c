/* read(2), write(2) and their kin move all that POSIX says; names of sockets; numbers 0 to 2. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

#define LONG 300000

static char out[LONG], in[LONG];

/* Reads until the end or until all is there. */
static void *reader(void *fd)
{
	size_t have = 0;
	ssize_t count;

	memset(in, 0, sizeof(in));
	while (have < LONG && (count = read(*(int *)fd, in + have, LONG - have)) > 0)
		have += (size_t)count;
	return (void *)have;
}

/* Whether `write` takes all while another thread reads, and it arrives as it was. */
static void transferred(int fds[2], ssize_t (*act)(int fd))
{
	pthread_t thread;
	void *have;

	CHECK(pthread_create(&thread, NULL, reader, &fds[0]) == 0);
	CHECK(act(fds[1]) == LONG);
	CHECK(pthread_join(thread, &have) == 0);
	CHECK((size_t)have == LONG && memcmp(in, out, LONG) == 0);
}

static ssize_t by_write(int fd)
{
	return write(fd, out, LONG);
}

static ssize_t by_send(int fd)
{
	return send(fd, out, LONG, MSG_NOSIGNAL);
}

static ssize_t by_sendmsg(int fd)
{
	struct iovec pieces[3] = { { out, 100000 }, { NULL, 0 }, { out + 100000, LONG - 100000 } };
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 3 };

	return sendmsg(fd, &message, 0);
}

static void what_blocks_moves_all(void)
{
	int fds[2];

	CHECK(pipe(fds) == 0);
	transferred(fds, by_write);
	close(fds[0]);
	close(fds[1]);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	transferred(fds, by_write);
	transferred(fds, by_send);
	transferred(fds, by_sendmsg);
	close(fds[0]);
	close(fds[1]);
	tell("what_blocks_moves_all");
}

static void *waits_for_all(void *fd)
{
	memset(in, 0, sizeof(in));
	return (void *)recv(*(int *)fd, in, 20000, MSG_WAITALL);
}

static void who_waits_for_all_gets_all(void)
{
	int fds[2];
	pthread_t thread;
	void *have;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	CHECK(pthread_create(&thread, NULL, waits_for_all, &fds[0]) == 0);
	for (int at = 0; at < 25000; at += 5000)
		CHECK(write(fds[1], out + at, 5000) == 5000);
	CHECK(pthread_join(thread, &have) == 0);
	CHECK((size_t)have == 20000 && memcmp(in, out, 20000) == 0);
	CHECK(recv(fds[0], in, 20000, MSG_WAITALL | MSG_DONTWAIT) == 5000);
	close(fds[0]);
	close(fds[1]);
	tell("who_waits_for_all_gets_all");
}

static void what_does_not_block_moves_what_it_can(void)
{
	int fds[2];
	ssize_t taken;

	CHECK(pipe2(fds, O_NONBLOCK) == 0);
	taken = write(fds[1], out, LONG);
	CHECK(taken > 3968 && taken < LONG);
	CHECK(write(fds[1], out, PIPE_BUF) == -1 && errno == EAGAIN);
	/* Less room than PIPE_BUF: such a write is whole or not at all. */
	CHECK(read(fds[0], in, PIPE_BUF / 2) == PIPE_BUF / 2);
	CHECK(write(fds[1], out, PIPE_BUF) == -1 && errno == EAGAIN);
	CHECK(write(fds[1], out, PIPE_BUF / 2) == PIPE_BUF / 2);
	close(fds[0]);
	close(fds[1]);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	taken = send(fds[1], out, LONG, MSG_DONTWAIT);
	CHECK(taken > 3968 && taken < LONG);
	CHECK(send(fds[1], out, LONG, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	close(fds[0]);
	close(fds[1]);
	tell("what_does_not_block_moves_what_it_can");
}

static void messages_stay_one(void)
{
	int fds[2];

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0);
	CHECK(write(fds[1], out, 3000) == 3000 && send(fds[1], out, 2000, 0) == 2000);
	CHECK(read(fds[0], in, LONG) == 3000 && read(fds[0], in, LONG) == 2000);
	CHECK(write(fds[1], out, LONG) == -1 && errno == EMSGSIZE);
	CHECK(send(fds[1], out, LONG, 0) == -1 && errno == EMSGSIZE);
	CHECK(by_sendmsg(fds[1]) == -1 && errno == EMSGSIZE);
	CHECK(recv(fds[0], in, LONG, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	close(fds[0]);
	close(fds[1]);
	tell("messages_stay_one");
}

static void *reads_a_little(void *fds)
{
	int *ends = fds;
	ssize_t count = read(ends[0], in, 10);

	close(ends[0]);
	return (void *)count;
}

/* Nobody reads any more, or a signal came, when a part was taken: that part counts, and the error is the next call's. */
static void a_part_counts(void)
{
	int fds[2];
	pthread_t thread;
	ssize_t taken;

	signal(SIGPIPE, SIG_IGN);
	CHECK(pipe(fds) == 0);
	CHECK(pthread_create(&thread, NULL, reads_a_little, fds) == 0);
	taken = write(fds[1], out, LONG);
	CHECK(taken > 0 && taken < LONG);
	CHECK(write(fds[1], out, 1) == -1 && errno == EPIPE);
	pthread_join(thread, NULL);
	close(fds[1]);
	tell("a_part_counts");
}

static volatile sig_atomic_t came;

static void comes(int signal)
{
	came = signal;
}

static void a_signal_ends_it_with_what_was_taken(void)
{
	int fds[2];
	ssize_t taken;

	signal(SIGALRM, comes);
	CHECK(pipe(fds) == 0);
	CHECK(alarm(1) == 0);
	taken = write(fds[1], out, LONG);
	CHECK(taken > 0 && taken < LONG && came == SIGALRM);
	close(fds[0]);
	close(fds[1]);
	CHECK(alarm(100) == 0 && alarm(0) > 50 && alarm(0) == 0);
	signal(SIGALRM, SIG_DFL);
	tell("a_signal_ends_it_with_what_was_taken");
}

static void files_are_whole(void)
{
	int file = open("/tmp/long", O_RDWR | O_CREAT | O_TRUNC, 0644);
	struct stat stat_of;

	CHECK(write(file, out, 200000) == 200000);
	CHECK(fstat(file, &stat_of) == 0 && stat_of.st_size == 200000);
	CHECK(pread(file, in, LONG, 0) == 200000 && memcmp(in, out, 200000) == 0);
	CHECK(lseek(file, 100, SEEK_SET) == 100);
	CHECK(read(file, in, LONG) == 199900 && memcmp(in, out + 100, 199900) == 0);
	CHECK(read(file, in, LONG) == 0);
	CHECK(pwrite(file, out, 8192, 50) == 8192);
	CHECK(pread(file, in, 8192, 50) == 8192 && memcmp(in, out, 8192) == 0);
	CHECK(lseek(file, 0, SEEK_CUR) == 200000);
	CHECK(fsync(file) == 0 && fdatasync(file) == 0 && fsync(-1) == -1 && errno == EBADF);
	close(file);
	CHECK(unlink("/tmp/long") == 0);
	tell("files_are_whole");
}

static int bound(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int result, error;

	strcpy(address.sun_path, path);
	result = bind(fd, (struct sockaddr *)&address, sizeof(address));
	error = errno;
	close(fd);
	errno = error;
	return result;
}

static void sockets_have_names_of_any_text(void)
{
	static const char *const paths[] = { "/tmp/sock", "/data/none/sock", "/run/socket/s", "/var/run/s", "sock", "./s" };
	struct stat stat_of;
	socklen_t length = sizeof(int);
	int file, on = 1, is_on = 0;

	for (unsigned i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		CHECK(stat(paths[i], &stat_of) == -1 && errno == ENOENT);
		CHECK(bound(paths[i]) == 0);
		CHECK(bound(paths[i]) == -1 && errno == EADDRINUSE);
		CHECK(stat(paths[i], &stat_of) == 0 && S_ISSOCK(stat_of.st_mode));
		CHECK(unlink(paths[i]) == 0);
		CHECK(unlink(paths[i]) == -1 && errno == ENOENT);
		CHECK(bound(paths[i]) == 0 && unlink(paths[i]) == 0);
	}
	file = open("/tmp/sock", O_RDWR | O_CREAT, 0644);
	CHECK(bound("/tmp/sock") == -1 && errno == EADDRINUSE);
	CHECK(unlink("/tmp/sock") == 0 && bound("/tmp/sock") == 0 && unlink("/tmp/sock") == 0);
	close(file);
	CHECK(socket(AF_INET, SOCK_STREAM, 0) == -1 && errno == EAFNOSUPPORT);
	file = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	CHECK(getsockopt(file, SOL_SOCKET, SO_REUSEADDR, &is_on, &length) == 0 && is_on == 1);
	close(file);
	tell("sockets_have_names_of_any_text");
}

int main(void)
{
	for (int i = 0; i < LONG; i++)
		out[i] = (char)(i % 251);
	what_blocks_moves_all();
	who_waits_for_all_gets_all();
	what_does_not_block_moves_what_it_can();
	messages_stay_one();
	a_part_counts();
	a_signal_ends_it_with_what_was_taken();
	files_are_whole();
	sockets_have_names_of_any_text();
	printf("tests done %d\n", tests);
	return failures > 0;
}
