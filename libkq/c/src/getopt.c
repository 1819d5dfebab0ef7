/* getopt(3), as POSIX has it: options end at the first argument that is none, or behind "--". */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char *__progname;

char *optarg;
int optind = 1, opterr = 1, optopt;

/* What is left of an argument with several options; the argument that it is of. */
static char *rest;
static int of;

static int wrong(const char *options, const char *why, int answer)
{
	if (opterr != 0 && *options != ':')
		fprintf(stderr, "%s: %s -- %c\n", __progname, why, optopt);
	return *options == ':' ? answer : '?';
}

int getopt(int count, char *const arguments[], const char *options)
{
	const char *known;
	char *argument;

	optarg = NULL;
	if (optind < 1)
		optind = 1;
	if (rest == NULL || *rest == '\0' || of != optind) {
		argument = optind < count ? arguments[optind] : NULL;
		if (argument == NULL || argument[0] != '-' || argument[1] == '\0')
			return -1;
		if (strcmp(argument, "--") == 0) {
			optind++;
			return -1;
		}
		rest = argument + 1;
		of = optind;
	}
	optopt = (unsigned char)*rest++;
	known = optopt == ':' ? NULL : strchr(options, optopt);
	if (known == NULL || known[1] != ':') {
		if (*rest == '\0')
			optind++;
		return known != NULL ? optopt : wrong(options, "unknown option", '?');
	}
	/* Its argument is what follows, or the next one. */
	optarg = *rest != '\0' ? rest : optind + 1 < count ? arguments[optind + 1] : NULL;
	optind += *rest != '\0' ? 1 : 2;
	rest = NULL;
	if (optarg == NULL) {
		optind = count;
		return wrong(options, "an option needs an argument", ':');
	}
	return optopt;
}
