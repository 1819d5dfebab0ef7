/* What is shorter in C. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void __kq_assert_failed(const char *what, const char *file, int line, const char *function)
{
	fflush(stdout);
	fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", file, line, function, what);
	abort();
}

char *getenv(const char *name)
{
	size_t length = strlen(name);

	for (char **variable = environ; *variable != NULL; variable++)
		if (strncmp(*variable, name, length) == 0 && (*variable)[length] == '=')
			return *variable + length + 1;
	return NULL;
}

int abs(int number)
{
	return number < 0 ? -number : number;
}

long labs(long number)
{
	return number < 0 ? -number : number;
}

/* A linear congruence, as rand(3) is: not for several threads, and not for anything that matters. */
static unsigned long seed = 1;

void srand(unsigned given)
{
	seed = given;
}

int rand(void)
{
	seed = seed * 6364136223846793005ul + 1442695040888963407ul;
	return (int)(seed >> 33);
}
