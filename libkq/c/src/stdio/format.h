/* Where formatted text goes. */

#include <stdarg.h>
#include <stddef.h>

struct output {
	char *place;		/* the next byte, while there is room */
	size_t room;		/* bytes that fit */
	size_t length;		/* bytes that the whole text has */
};

void __kq_format(struct output *to, const char *format, va_list arguments);
