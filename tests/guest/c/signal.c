/* signal.h: what the twin in Rust does, in C. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t seen;

static void handler(int signal)
{
	seen = seen * 100 + signal;
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler }, old;
	sigset_t set, before;
	int result;

	puts("begin");
	result = sigaction(SIGUSR1, &action, &old);
	printf("sigaction %d, was default %d\n", result, old.sa_handler == SIG_DFL);
	result = raise(SIGUSR1);
	printf("raise %d, seen %d\n", result, seen);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	result = sigprocmask(SIG_BLOCK, &set, &before);
	printf("block %d, before %#lx\n", result, before);
	result = kill(getpid(), SIGUSR1);
	printf("kill %d, seen %d", result, seen);
	sigpending(&set);
	printf(", pending %d\n", sigismember(&set, SIGUSR1));
	result = ppoll(NULL, 0, NULL, &before);
	printf("ppoll %d %d, seen %d\n", result, errno == EINTR, seen);
	result = sigprocmask(SIG_SETMASK, &before, &set);
	printf("unblock %d, was %#lx\n", result, set);
	action.sa_handler = SIG_IGN;
	result = sigaction(SIGUSR1, &action, &old);
	printf("ignore %d, was ours %d\n", result, old.sa_handler == handler);
	raise(SIGUSR1);
	printf("seen %d\n", seen);
	result = sigaction(SIGKILL, &action, NULL);
	printf("SIGKILL %d %d\n", result, errno == EINVAL);
	result = sigprocmask(3, &set, NULL);
	printf("no way %d %d\n", result, errno == EINVAL);
	result = kill(30000, 0);
	printf("nobody %d %d\n", result, errno == ESRCH);
	puts("end");
	return 0;
}
