/* signal(7). Handlers run at the library's calls: docs/c.md. */
#ifndef KQ_SIGNAL_H
#define KQ_SIGNAL_H

#include <sys/types.h>
#include <kq/sigset.h>

/* The numbers are Linux's. */
#define SIGHUP 1
#define SIGINT 2
#define SIGQUIT 3
#define SIGILL 4
#define SIGTRAP 5
#define SIGABRT 6
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGUSR1 10
#define SIGSEGV 11
#define SIGUSR2 12
#define SIGPIPE 13
#define SIGALRM 14
#define SIGTERM 15
#define SIGCHLD 17
#define SIGCONT 18
#define SIGSTOP 19
#define SIGTSTP 20
#define SIGTTIN 21
#define SIGTTOU 22
#define SIGURG 23
#define SIGWINCH 28
#define NSIG 65

#define SIG_DFL ((void (*)(int))0)
#define SIG_IGN ((void (*)(int))1)
#define SIG_ERR ((void (*)(int))-1)

#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2

/* Accepted: what is interrupted is never restarted. */
#define SA_RESTART 0x10000000
#define SA_NODEFER 0x40000000
#define SA_RESETHAND 0x80000000
/* Refused, ENOSYS. */
#define SA_SIGINFO 0x00000004

typedef int sig_atomic_t;

struct sigaction {
	void (*sa_handler)(int);
	sigset_t sa_mask;
	unsigned sa_flags;
};

int sigaction(int signal, const struct sigaction *action, struct sigaction *old);
void (*signal(int signal, void (*handler)(int)))(int);
int sigprocmask(int how, const sigset_t *set, sigset_t *old);
int pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int sigpending(sigset_t *set);
int sigsuspend(const sigset_t *mask);
int raise(int signal);
int kill(pid_t process, int signal);

#define __KQ_SIGNAL(signal) ((signal) >= 1 && (signal) < NSIG)

static inline int sigemptyset(sigset_t *set)
{
	*set = 0;
	return 0;
}

static inline int sigfillset(sigset_t *set)
{
	*set = ~(sigset_t)0;
	return 0;
}

static inline int sigaddset(sigset_t *set, int signal)
{
	if (!__KQ_SIGNAL(signal))
		return -1;
	*set |= (sigset_t)1 << (signal - 1);
	return 0;
}

static inline int sigdelset(sigset_t *set, int signal)
{
	if (!__KQ_SIGNAL(signal))
		return -1;
	*set &= ~((sigset_t)1 << (signal - 1));
	return 0;
}

static inline int sigismember(const sigset_t *set, int signal)
{
	if (!__KQ_SIGNAL(signal))
		return -1;
	return (int)(*set >> (signal - 1) & 1);
}

#endif
