/* Variadic functions over those that take what there is. */

#include <stdarg.h>
#include <fcntl.h>
#include <sys/ioctl.h>

int __kq_open(const char *path, int flags, unsigned mode);
int __kq_fcntl(int fd, int command, unsigned long argument);
int __kq_ioctl(int fd, unsigned long request, void *argument);

int open(const char *path, int flags, ...)
{
	unsigned mode = 0;
	va_list rest;

	if (flags & O_CREAT) {
		va_start(rest, flags);
		mode = va_arg(rest, unsigned);
		va_end(rest);
	}
	return __kq_open(path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
	unsigned long argument;
	va_list rest;

	va_start(rest, command);
	/* Every register has something in it, and commands without an argument do not look. */
	argument = va_arg(rest, unsigned long);
	va_end(rest);
	return __kq_fcntl(fd, command, argument);
}

int ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list rest;

	va_start(rest, request);
	argument = va_arg(rest, void *);
	va_end(rest);
	return __kq_ioctl(fd, request, argument);
}
