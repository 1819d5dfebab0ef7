/* err(3): what went wrong, with the program's name before it and, but for the x ones, what errno says behind it. */
#ifndef KQ_ERR_H
#define KQ_ERR_H

#include <stdarg.h>

#define __KQ_FORMAT_LIKE(text, first) __attribute__((format(printf, text, first)))

_Noreturn void err(int status, const char *format, ...) __KQ_FORMAT_LIKE(2, 3);
_Noreturn void errx(int status, const char *format, ...) __KQ_FORMAT_LIKE(2, 3);
_Noreturn void verr(int status, const char *format, va_list arguments) __KQ_FORMAT_LIKE(2, 0);
_Noreturn void verrx(int status, const char *format, va_list arguments) __KQ_FORMAT_LIKE(2, 0);
void warn(const char *format, ...) __KQ_FORMAT_LIKE(1, 2);
void warnx(const char *format, ...) __KQ_FORMAT_LIKE(1, 2);
void vwarn(const char *format, va_list arguments) __KQ_FORMAT_LIKE(1, 0);
void vwarnx(const char *format, va_list arguments) __KQ_FORMAT_LIKE(1, 0);

#endif
