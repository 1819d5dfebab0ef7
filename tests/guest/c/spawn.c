/* spawn.h and sys/wait.h: this program starts itself. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/wait.h>
#include <unistd.h>

#define SELF "bin/c_spawn"

static int tests, failures;

static void tell(const char *name, int well)
{
	tests++;
	failures += !well;
	printf("test %s %s\n", name, well ? "ok" : "FAILED something is not as it should be");
}

static pid_t start(char *role)
{
	char *arguments[] = { "child", role, NULL };
	char *environment[] = { "COLOUR=green", NULL };
	pid_t child = -1;

	return posix_spawn(&child, SELF, NULL, NULL, arguments, environment) == 0 ? child : -1;
}

/* R33: the set that may travel is here with the pipe in it, the other and the kqueue are not. */
static int has_a_set(char **arguments)
{
	int set = atoi(arguments[2]), kept = atoi(arguments[3]), kq = atoi(arguments[4]);
	struct epoll_event event;
	struct kevent told;
	char byte;

	if (epoll_wait(kept, &event, 1, 0) != -1 || errno != EBADF)
		return 1;
	if (kevent(kq, NULL, 0, &told, 1, NULL) != -1 || errno != EBADF)
		return 2;
	if (epoll_wait(set, &event, 1, 60000) != 1 || event.events != EPOLLIN)
		return 3;
	return read(event.data.fd, &byte, 1) == 1 && byte == 'x' ? 7 : 4;
}

static int sets_travel(void)
{
	int set = epoll_create1(0), kept = epoll_create1(EPOLL_CLOEXEC), kq = kqueue(), ends[2], status = 0;
	char numbers[3][12], *arguments[] = { "child", "set", numbers[0], numbers[1], numbers[2], NULL };
	struct epoll_event event = { EPOLLIN, { 0 } };
	pid_t process;

	if (pipe(ends) != 0 || fcntl(kept, F_GETFD) != FD_CLOEXEC || fcntl(set, F_GETFD) != 0)
		return 0;
	event.data.fd = ends[0];
	if (epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event) != 0)
		return 0;
	snprintf(numbers[0], sizeof numbers[0], "%d", set);
	snprintf(numbers[1], sizeof numbers[1], "%d", kept);
	snprintf(numbers[2], sizeof numbers[2], "%d", kq);
	if (posix_spawn(&process, SELF, NULL, NULL, arguments, NULL) != 0 || write(ends[1], "x", 1) != 1)
		return 0;
	return waitpid(process, &status, 0) == process && WIFEXITED(status) && WEXITSTATUS(status) == 7 &&
	       fcntl(set, F_SETFD, FD_CLOEXEC) == 0 && fcntl(set, F_GETFD) == FD_CLOEXEC;
}

/* What one has is what it was given: with the least it does not get a block that it gets with more. */
static int ends_with_quota(size_t quota)
{
	char *arguments[] = { "child", "greedy", NULL };
	posix_spawnattr_t attributes;
	size_t kept = 0;
	int status = 0;
	pid_t process;

	if (posix_spawnattr_init(&attributes) != 0 || posix_spawnattr_getquota_np(&attributes, &kept) != 0 || kept != 8 << 20 ||
	    posix_spawnattr_setquota_np(&attributes, quota) != 0 || posix_spawnattr_getquota_np(&attributes, &kept) != 0 ||
	    kept != quota || posix_spawn(&process, SELF, NULL, &attributes, arguments, NULL) != 0 ||
	    posix_spawnattr_destroy(&attributes) != 0)
		return -1;
	return waitpid(process, &status, 0) == process && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int quotas_are_kept(void)
{
	char *arguments[] = { "child", "greedy", NULL };
	posix_spawnattr_t attributes;
	size_t kept;
	pid_t process;

	if (posix_spawnattr_init(NULL) != EFAULT || posix_spawnattr_setquota_np(NULL, 1) != EFAULT ||
	    posix_spawnattr_getquota_np(NULL, &kept) != EFAULT || posix_spawnattr_destroy(NULL) != EFAULT ||
	    posix_spawnattr_init(&attributes) != 0 || posix_spawnattr_setquota_np(&attributes, 0) != EINVAL ||
	    posix_spawnattr_getquota_np(&attributes, NULL) != EFAULT)
		return 0;
	/* More than its family may have, and less than a program needs. */
	posix_spawnattr_setquota_np(&attributes, (size_t)1 << 40);
	if (posix_spawn(&process, SELF, NULL, &attributes, arguments, NULL) != EDQUOT)
		return 0;
	posix_spawnattr_setquota_np(&attributes, 1);
	return posix_spawn(&process, SELF, NULL, &attributes, arguments, NULL) == EINVAL;
}

static int child(const char *role)
{
	if (strcmp(role, "greedy") == 0)
		return malloc(12 << 20) != NULL ? 1 : 2;
	if (strcmp(role, "sleeps") == 0)
		for (;;)
			sleep(1000);
	printf("child says %s\n", getenv("COLOUR"));
	return strcmp(getenv("COLOUR"), "green") == 0 ? 7 : 8;
}

int main(int count, char **arguments)
{
	int status = 0;
	pid_t process;

	if (count == 5 && strcmp(arguments[1], "set") == 0)
		return has_a_set(arguments);
	if (count == 2 && strcmp(arguments[0], "child") == 0)
		return child(arguments[1]);
	process = start("ends");
	tell("a_status_is_told", process > 0 && waitpid(process, &status, 0) == process && WIFEXITED(status) &&
					 WEXITSTATUS(status) == 7);
	process = start("sleeps");
	tell("a_child_that_runs_is_not_waited_for", process > 0 && waitpid(process, &status, WNOHANG) == 0);
	tell("a_signal_ends_it", kill(process, SIGTERM) == 0 && wait(&status) == process && WIFSIGNALED(status) &&
					 WTERMSIG(status) == SIGTERM);
	tell("there_are_no_more", wait(&status) == -1 && errno == ECHILD);
	tell("no_such_program", posix_spawn(&process, "bin/none", NULL, NULL, arguments, NULL) == ENOENT);
	tell("no_arguments", posix_spawn(&process, SELF, NULL, NULL, NULL, NULL) == EFAULT &&
				     posix_spawn(&process, NULL, NULL, NULL, arguments, NULL) == EFAULT);
	tell("r33_an_epoll_set_travels_and_a_kqueue_does_not", sets_travel());
	tell("a_child_has_the_quota_that_is_given", ends_with_quota(24 << 20) == 1 && ends_with_quota(8 << 20) == 2);
	tell("quotas_that_cannot_be_are_refused", quotas_are_kept());
	printf("tests done %d\n", tests);
	return failures > 0;
}
