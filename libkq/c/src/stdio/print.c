/* The variadic functions of stdio.h. */

#include "format.h"

#include <limits.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <errno.h>

/* A text up to this length is formatted once, on the stack. */
#define SHORT_TEXT 256

static int length_of(const struct output *to)
{
	if (to->length > INT_MAX) {
		errno = EOVERFLOW;
		return -1;
	}
	return (int)to->length;
}

int vsnprintf(char *place, size_t room, const char *format, va_list arguments)
{
	struct output to = { place, room > 0 ? room - 1 : 0, 0 };

	__kq_format(&to, format, arguments);
	if (room > 0)
		*to.place = '\0';
	return length_of(&to);
}

int snprintf(char *place, size_t room, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(place, room, format, arguments);
	va_end(arguments);
	return length;
}

int vsprintf(char *place, const char *format, va_list arguments)
{
	return vsnprintf(place, SIZE_MAX, format, arguments);
}

int sprintf(char *place, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsprintf(place, format, arguments);
	va_end(arguments);
	return length;
}

/* The whole text goes to the stream in one piece, so that texts of several threads do not mix. */
int vfprintf(FILE *file, const char *format, va_list arguments)
{
	char text[SHORT_TEXT];
	char *all = text;
	int length = vsnprintf(text, sizeof(text), format, arguments);

	if (length < 0)
		return -1;
	if ((size_t)length >= sizeof(text)) {
		all = malloc((size_t)length + 1);
		if (all == NULL)
			return -1;
		vsnprintf(all, (size_t)length + 1, format, arguments);
	}
	if (length > 0 && fwrite(all, 1, (size_t)length, file) != (size_t)length)
		length = -1;
	if (all != text)
		free(all);
	return length;
}

int fprintf(FILE *file, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vfprintf(file, format, arguments);
	va_end(arguments);
	return length;
}

int vprintf(const char *format, va_list arguments)
{
	return vfprintf(stdout, format, arguments);
}

int printf(const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vfprintf(stdout, format, arguments);
	va_end(arguments);
	return length;
}

int dprintf(int fd, const char *format, ...)
{
	char text[SHORT_TEXT];
	va_list arguments;
	int length;
	size_t all;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length < 0)
		return -1;
	all = (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1;
	return write(fd, text, all) == (ssize_t)all ? (int)all : -1;
}
