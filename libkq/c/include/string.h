/* Memory and strings. */
#ifndef KQ_STRING_H
#define KQ_STRING_H

#include <stddef.h>
#include <strings.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *memory, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);
void *memchr(const void *memory, int byte, size_t length);

size_t strlen(const char *string);
size_t strnlen(const char *string, size_t most);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t most);
char *strcpy(char *restrict to, const char *restrict from);
char *stpcpy(char *restrict to, const char *restrict from);
char *strncpy(char *restrict to, const char *restrict from, size_t length);
char *strcat(char *restrict to, const char *restrict from);
char *strncat(char *restrict to, const char *restrict from, size_t most);
char *strchr(const char *string, int byte);
char *strrchr(const char *string, int byte);
char *strstr(const char *string, const char *wanted);
size_t strspn(const char *string, const char *accepted);
size_t strcspn(const char *string, const char *refused);
char *strtok_r(char *restrict string, const char *restrict separators, char **restrict rest);
char *strdup(const char *string);
char *strndup(const char *string, size_t most);
char *strerror(int error);

#endif
