/* strings.h. */

#include <ctype.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

int strncasecmp(const char *a, const char *b, size_t most)
{
	int one = 0, other = 0;

	for (size_t at = 0; at < most; at++) {
		one = tolower((unsigned char)a[at]);
		other = tolower((unsigned char)b[at]);
		if (one != other || one == '\0')
			break;
	}
	return one - other;
}

int strcasecmp(const char *a, const char *b)
{
	return strncasecmp(a, b, SIZE_MAX);
}

/* The compiler's own library may have it, too. */
__attribute__((weak)) int bcmp(const void *a, const void *b, size_t length)
{
	return memcmp(a, b, length);
}

void bcopy(const void *from, void *to, size_t length)
{
	memmove(to, from, length);
}

void bzero(void *memory, size_t length)
{
	memset(memory, 0, length);
}

int ffs(int number)
{
	for (int at = 0; at < (int)sizeof(number) * CHAR_BIT; at++)
		if ((unsigned)number >> at & 1)
			return at + 1;
	return 0;
}

char *index(const char *string, int byte)
{
	return strchr(string, byte);
}

char *rindex(const char *string, int byte)
{
	return strrchr(string, byte);
}
