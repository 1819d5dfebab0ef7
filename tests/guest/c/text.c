/* stdio's ends and errors, and the smaller headers: ctype, strings, err, getopt, sys/queue, sys/param. */

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/param.h>
#include <sys/poll.h>
#include <sys/queue.h>
#include <sys/signal.h>
#include <unistd.h>

#include "check.h"

/* Standard input is a file that grows behind the end that was met. */
static void the_end_stays_the_end(void)
{
	int file = open("/tmp/input", O_RDWR | O_CREAT | O_TRUNC, 0644);
	char line[16], bytes[8];
	int lines = 0;

	CHECK(write(file, "a\nb", 3) == 3 && lseek(file, 0, SEEK_SET) == 0 && dup2(file, 0) == 0);
	while (fgets(line, sizeof(line), stdin) != NULL)
		lines++;
	CHECK(lines == 2 && strcmp(line, "b") == 0 && feof(stdin) && !ferror(stdin));
	CHECK(pwrite(file, "cdefghij", 8, 3) == 8);
	CHECK(getchar() == EOF && fgetc(stdin) == EOF && fgets(line, sizeof(line), stdin) == NULL);
	CHECK(fread(bytes, 1, 8, stdin) == 0 && feof(stdin));
	clearerr(stdin);
	CHECK(!feof(stdin) && getchar() == 'c');
	CHECK(ungetc('C', stdin) == 'C' && ungetc(EOF, stdin) == EOF);
	CHECK(fread(bytes, 2, 2, stdin) == 2 && memcmp(bytes, "Cdef", 4) == 0);
	CHECK(fread(bytes, 3, 2, stdin) == 1 && memcmp(bytes, "ghij", 4) == 0 && feof(stdin));
	CHECK(ungetc('x', stdin) == 'x' && !feof(stdin) && getchar() == 'x' && getchar() == EOF);
	close(file);
	close(0);
	clearerr(stdin);
	CHECK(getchar() == EOF && errno == EBADF && ferror(stdin) && !feof(stdin));
	clearerr(stdin);
	CHECK(!ferror(stdin));
	tell("the_end_stays_the_end");
}

/* What stdout and stderr say is read from a pipe meanwhile. */
static void streams_write_when_they_are_told(const char *path)
{
	char text[80] = "", wanted[80];
	int out = dup(1), two = dup(2), ends[2];
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	ssize_t count;
	int results[6];

	fflush(stdout);
	CHECK(pipe2(ends, O_NONBLOCK) == 0);
	dup2(ends[1], 1);
	dup2(ends[1], 2);
	results[0] = setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
	printf("a\nb\n");
	results[1] = read(ends[0], text, 1) == -1 && errno == EAGAIN;
	results[2] = fflush(stdout) == 0 && read(ends[0], text, sizeof(text)) == 4;
	results[3] = setvbuf(stdout, NULL, _IONBF, 0);
	printf("c");
	results[4] = read(ends[0], text, sizeof(text)) == 1;
	results[5] = setvbuf(stdout, NULL, _IOLBF, 0);
	errno = ENOENT;
	warn("%d files", 2);
	warnx("no more");
	count = read(ends[0], text, sizeof(text) - 1);
	text[count > 0 ? count : 0] = '\0';
	dup2(out, 1);
	dup2(two, 2);
	CHECK(results[0] == 0 && results[1] && results[2] && results[3] == 0 && results[4] && results[5] == 0);
	snprintf(wanted, sizeof(wanted), "%s: 2 files: No such file or directory\n%s: no more\n", name, name);
	CHECK(strcmp(text, wanted) == 0);
	CHECK(setvbuf(stdout, NULL, 7, 0) == -1 && errno == EINVAL);
	close(out);
	close(two);
	close(ends[0]);
	close(ends[1]);
	tell("streams_write_when_they_are_told");
}

static void characters(void)
{
	static int (*const classes[])(int) = { isalnum, isalpha, isblank, iscntrl, isdigit, isgraph,
					       islower, isprint, ispunct, isspace, isupper, isxdigit };
	static const int sizes[] = { 62, 52, 2, 33, 10, 94, 26, 95, 32, 6, 26, 22 };

	for (unsigned i = 0; i < nitems(classes); i++) {
		int members = 0;

		for (int byte = EOF; byte < 256; byte++)
			members += classes[i](byte) != 0;
		CHECK(members == sizes[i]);
	}
	CHECK(tolower('Q') == 'q' && toupper('q') == 'Q' && tolower('[') == '[' && toupper('{') == '{');
	CHECK(strcasecmp("Kqueue", "kQUEUE") == 0 && strcasecmp("a", "B") < 0 && strcasecmp("b", "A") > 0);
	CHECK(strncasecmp("abX", "ABY", 2) == 0 && strncasecmp("abX", "ABY", 3) < 0 && strcasecmp("a", "ab") < 0);
	CHECK(ffs(0) == 0 && ffs(1) == 1 && ffs(0x50) == 5 && ffs((int)0x80000000) == 32);
	CHECK(index("hello", 'l')[1] == 'l' && rindex("hello", 'l')[1] == 'o' && bcmp("ab", "ab", 2) == 0);
	CHECK(MIN(1, 2) == 1 && MAX(1, 2) == 2 && roundup(9, 4) == 12 && howmany(9, 4) == 3 && powerof2(8));
	tell("characters");
}

static void options(void)
{
	static char *const given[] = { "p", "-ab", "-c", "x", "-cy", "-z", "--", "-a", NULL };
	static char *const lacking[] = { "p", "-c", NULL };

	opterr = 0;
	CHECK(getopt(8, given, "abc:") == 'a' && getopt(8, given, "abc:") == 'b');
	CHECK(getopt(8, given, "abc:") == 'c' && strcmp(optarg, "x") == 0);
	CHECK(getopt(8, given, "abc:") == 'c' && strcmp(optarg, "y") == 0);
	CHECK(getopt(8, given, "abc:") == '?' && optopt == 'z');
	CHECK(getopt(8, given, "abc:") == -1 && optind == 7);
	optind = 1;
	CHECK(getopt(2, lacking, ":c:") == ':' && optopt == 'c' && optind == 2);
	tell("options");
}

struct number {
	int value;
	SLIST_ENTRY(number) single;
	STAILQ_ENTRY(number) queued;
	LIST_ENTRY(number) linked;
	TAILQ_ENTRY(number) both;
};

SLIST_HEAD(stack, number);
STAILQ_HEAD(queue, number);
LIST_HEAD(list, number);
TAILQ_HEAD(deque, number);

/* What a walk over a list of each kind meets, as digits. */
#define DIGITS(result, at, walk)                          \
	do {                                              \
		(result) = 0;                             \
		walk (result) = (result) * 10 + (at)->value; \
	} while (0)

static void lists(void)
{
	struct number n[5] = { { .value = 0 }, { .value = 1 }, { .value = 2 }, { .value = 3 }, { .value = 4 } };
	struct number *at, *next;
	struct stack stack = SLIST_HEAD_INITIALIZER(stack);
	struct queue queue = STAILQ_HEAD_INITIALIZER(queue);
	struct list list = LIST_HEAD_INITIALIZER(list);
	struct deque deque = TAILQ_HEAD_INITIALIZER(deque);
	int met;

	CHECK(SLIST_EMPTY(&stack) && STAILQ_EMPTY(&queue) && LIST_EMPTY(&list) && TAILQ_EMPTY(&deque));
	SLIST_INSERT_HEAD(&stack, &n[3], single);
	SLIST_INSERT_HEAD(&stack, &n[1], single);
	SLIST_INSERT_AFTER(&n[1], &n[2], single);
	DIGITS(met, at, SLIST_FOREACH(at, &stack, single));
	CHECK(met == 123);
	SLIST_REMOVE(&stack, &n[2], number, single);
	DIGITS(met, at, SLIST_FOREACH(at, &stack, single));
	CHECK(met == 13);
	SLIST_REMOVE_HEAD(&stack, single);
	CHECK(SLIST_FIRST(&stack) == &n[3] && SLIST_NEXT(&n[3], single) == NULL);

	STAILQ_INSERT_TAIL(&queue, &n[2], queued);
	STAILQ_INSERT_HEAD(&queue, &n[1], queued);
	STAILQ_INSERT_AFTER(&queue, &n[2], &n[3], queued);
	STAILQ_INSERT_TAIL(&queue, &n[4], queued);
	DIGITS(met, at, STAILQ_FOREACH(at, &queue, queued));
	CHECK(met == 1234);
	STAILQ_REMOVE(&queue, &n[4], number, queued);
	STAILQ_REMOVE_HEAD(&queue, queued);
	STAILQ_INSERT_TAIL(&queue, &n[1], queued);
	DIGITS(met, at, STAILQ_FOREACH_SAFE(at, &queue, queued, next));
	CHECK(met == 231);

	LIST_INSERT_HEAD(&list, &n[3], linked);
	LIST_INSERT_BEFORE(&n[3], &n[1], linked);
	LIST_INSERT_AFTER(&n[1], &n[2], linked);
	LIST_INSERT_AFTER(&n[3], &n[4], linked);
	DIGITS(met, at, LIST_FOREACH(at, &list, linked));
	CHECK(met == 1234);
	LIST_REMOVE(&n[1], linked);
	LIST_REMOVE(&n[4], linked);
	LIST_REMOVE(&n[3], linked);
	CHECK(LIST_FIRST(&list) == &n[2] && LIST_NEXT(&n[2], linked) == NULL);

	TAILQ_INSERT_HEAD(&deque, &n[2], both);
	TAILQ_INSERT_HEAD(&deque, &n[1], both);
	TAILQ_INSERT_TAIL(&deque, &n[4], both);
	TAILQ_INSERT_BEFORE(&n[4], &n[3], both);
	TAILQ_INSERT_AFTER(&deque, &n[4], &n[0], both);
	DIGITS(met, at, TAILQ_FOREACH(at, &deque, both));
	CHECK(met == 12340);
	DIGITS(met, at, TAILQ_FOREACH_REVERSE(at, &deque, deque, both));
	CHECK(met == 4321 && TAILQ_LAST(&deque, deque) == &n[0] && TAILQ_PREV(&n[1], deque, both) == NULL);
	TAILQ_REMOVE(&deque, &n[0], both);
	TAILQ_REMOVE(&deque, &n[2], both);
	TAILQ_FOREACH_SAFE(at, &deque, both, next)
		if (at->value == 1)
			TAILQ_REMOVE(&deque, at, both);
	DIGITS(met, at, TAILQ_FOREACH_REVERSE(at, &deque, deque, both));
	CHECK(met == 43);
	tell("lists");
}

int main(int count, char **arguments)
{
	the_end_stays_the_end();
	streams_write_when_they_are_told(count > 0 ? arguments[0] : "");
	characters();
	options();
	lists();
	printf("tests done %d\n", tests);
	return failures > 0;
}
