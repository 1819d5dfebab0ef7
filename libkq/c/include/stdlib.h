/* Memory, numbers, order, the end. */
#ifndef KQ_STDLIB_H
#define KQ_STDLIB_H

#include <stddef.h>

#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1
#define RAND_MAX 0x7fffffff

void *malloc(size_t length);
void *calloc(size_t count, size_t length);
void *realloc(void *block, size_t length);
void free(void *block);
void *aligned_alloc(size_t align, size_t length);
int posix_memalign(void **place, size_t align, size_t length);

_Noreturn void exit(int status);
_Noreturn void abort(void);
int atexit(void (*function)(void));
char *getenv(const char *name);

int atoi(const char *string);
long atol(const char *string);
long strtol(const char *restrict string, char **restrict end, int base);
unsigned long strtoul(const char *restrict string, char **restrict end, int base);
long long strtoll(const char *restrict string, char **restrict end, int base);
unsigned long long strtoull(const char *restrict string, char **restrict end, int base);

int abs(int number);
long labs(long number);
int rand(void);
void srand(unsigned seed);

void qsort(void *list, size_t count, size_t size, int (*compare)(const void *, const void *));
void *bsearch(const void *key, const void *list, size_t count, size_t size,
	      int (*compare)(const void *, const void *));

#endif
