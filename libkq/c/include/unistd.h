/* Descriptors, and what a program is. */
#ifndef KQ_UNISTD_H
#define KQ_UNISTD_H

#include <sys/types.h>

#define STDIN_FILENO 0
#define STDOUT_FILENO 1
#define STDERR_FILENO 2

extern char **environ;

ssize_t read(int fd, void *buffer, size_t length);
ssize_t write(int fd, const void *bytes, size_t length);
int close(int fd);
int dup(int fd);
int dup2(int fd, int number);
int isatty(int fd);
int pipe(int ends[2]);
int pipe2(int ends[2], int flags);
pid_t getpid(void);
pid_t getppid(void);
char *getcwd(char *buffer, size_t length);
unsigned sleep(unsigned seconds);
int usleep(useconds_t microseconds);
int pause(void);
_Noreturn void _exit(int status);

#endif
