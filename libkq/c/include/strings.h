/* Strings without regard to case, and memory as BSD had it. */
#ifndef KQ_STRINGS_H
#define KQ_STRINGS_H

#include <stddef.h>

int strcasecmp(const char *a, const char *b);
int strncasecmp(const char *a, const char *b, size_t most);
int bcmp(const void *a, const void *b, size_t length);
void bcopy(const void *from, void *to, size_t length);
void bzero(void *memory, size_t length);
int ffs(int number);
char *index(const char *string, int byte);
char *rindex(const char *string, int byte);

#endif
