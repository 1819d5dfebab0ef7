/* Tests of a C program: a line for each, as the suite reads it. */

#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

static int tests, failures;

/* The first thing that was wrong in a test. */
static const char *flaw;

#define CHECK(condition)                                        \
	do {                                                    \
		if (!(condition) && flaw == NULL)               \
			flaw = #condition;                      \
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

#endif
