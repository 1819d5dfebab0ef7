/* spawn.h and sys/wait.h: this program starts itself. */

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static int child(const char *role)
{
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
	printf("tests done %d\n", tests);
	return failures > 0;
}
