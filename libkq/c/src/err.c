/* err.h. */

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char *__progname;

/* A line goes to stderr in one piece. What does not fit is cut. */
#define LINE 512

static void line(const char *format, va_list arguments, const char *reason)
{
	char text[LINE] = "";

	if (format != NULL)
		vsnprintf(text, sizeof(text), format, arguments);
	if (reason == NULL)
		fprintf(stderr, "%s: %s\n", __progname, text);
	else
		fprintf(stderr, "%s: %s%s%s\n", __progname, text, format != NULL ? ": " : "", reason);
}

void vwarn(const char *format, va_list arguments)
{
	line(format, arguments, strerror(errno));
}

void vwarnx(const char *format, va_list arguments)
{
	line(format, arguments, NULL);
}

_Noreturn void verr(int status, const char *format, va_list arguments)
{
	vwarn(format, arguments);
	exit(status);
}

_Noreturn void verrx(int status, const char *format, va_list arguments)
{
	vwarnx(format, arguments);
	exit(status);
}

void warn(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vwarn(format, arguments);
	va_end(arguments);
}

void warnx(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vwarnx(format, arguments);
	va_end(arguments);
}

_Noreturn void err(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	verr(status, format, arguments);
}

_Noreturn void errx(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	verrx(status, format, arguments);
}
