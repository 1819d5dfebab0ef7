/* The three standard streams, and formatted text. */
#ifndef KQ_STDIO_H
#define KQ_STDIO_H

#include <stdarg.h>
#include <sys/types.h>

#define EOF (-1)
#define BUFSIZ 1024

/* When a stream writes: its memory is its own. */
#define _IOFBF 0
#define _IOLBF 1
#define _IONBF 2

typedef struct __kq_stream FILE;

extern FILE *const stdin;
extern FILE *const stdout;
extern FILE *const stderr;

#define stdin stdin
#define stdout stdout
#define stderr stderr

#define __KQ_FORMAT(text, first) __attribute__((format(printf, text, first)))

int printf(const char *format, ...) __KQ_FORMAT(1, 2);
int fprintf(FILE *file, const char *format, ...) __KQ_FORMAT(2, 3);
int dprintf(int fd, const char *format, ...) __KQ_FORMAT(2, 3);
int sprintf(char *place, const char *format, ...) __KQ_FORMAT(2, 3);
int snprintf(char *place, size_t room, const char *format, ...) __KQ_FORMAT(3, 4);
int vprintf(const char *format, va_list arguments) __KQ_FORMAT(1, 0);
int vfprintf(FILE *file, const char *format, va_list arguments) __KQ_FORMAT(2, 0);
int vsprintf(char *place, const char *format, va_list arguments) __KQ_FORMAT(2, 0);
int vsnprintf(char *place, size_t room, const char *format, va_list arguments) __KQ_FORMAT(3, 0);

int puts(const char *text);
int fputs(const char *text, FILE *file);
int putchar(int byte);
int putc(int byte, FILE *file);
int fputc(int byte, FILE *file);
size_t fwrite(const void *memory, size_t size, size_t count, FILE *file);
size_t fread(void *memory, size_t size, size_t count, FILE *file);
int getchar(void);
int getc(FILE *file);
int fgetc(FILE *file);
char *fgets(char *line, int length, FILE *file);
int ungetc(int byte, FILE *file);
int fflush(FILE *file);
void setbuf(FILE *file, char *memory);
int setvbuf(FILE *file, char *memory, int mode, size_t length);
void clearerr(FILE *file);
int feof(FILE *file);
int ferror(FILE *file);
int fileno(FILE *file);
void perror(const char *what);
int rename(const char *from, const char *to);

#endif
