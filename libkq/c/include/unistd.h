/* Descriptors, and what a program is. */
#ifndef KQ_UNISTD_H
#define KQ_UNISTD_H

#include <sys/types.h>

#define STDIN_FILENO 0
#define STDOUT_FILENO 1
#define STDERR_FILENO 2

#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2

extern char **environ;

ssize_t read(int fd, void *buffer, size_t length);
ssize_t write(int fd, const void *bytes, size_t length);
ssize_t pread(int fd, void *buffer, size_t length, off_t offset);
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset);
off_t lseek(int fd, off_t offset, int whence);
int ftruncate(int fd, off_t length);
int fsync(int fd);
int fdatasync(int fd);
int truncate(const char *path, off_t length);
int unlink(const char *path);
int link(const char *from, const char *to);
int rmdir(const char *path);
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
unsigned alarm(unsigned seconds);
int getopt(int count, char *const arguments[], const char *options);
extern char *optarg;
extern int optind, opterr, optopt;
_Noreturn void _exit(int status);

#endif
