/* sys/stat.h, dirent.h, fcntl.h, and EVFILT_VNODE: what the twin in Rust does, in C. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <unistd.h>

static void list(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	printf("names:");
	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			printf(" %s %d", entry->d_name, entry->d_type);
	printf("\n");
	closedir(directory);
}

int main(void)
{
	static const struct timespec now = { 0, 0 };
	struct kevent event;
	struct stat stat_of;
	char bytes[16] = "";
	int file, queue, result;

	puts("begin");
	printf("mkdir %d\n", mkdir("/tmp/c", 0755));
	result = mkdir("/tmp/c", 0755);
	printf("mkdir again %d %d\n", result, errno == EEXIST);
	file = open("/tmp/c/one", O_RDWR | O_CREAT | O_EXCL, 0644);
	printf("open %d\n", file >= 0);
	printf("wrote %ld\n", write(file, "hello world", 11));
	printf("seek %ld\n", lseek(file, -5, SEEK_END));
	printf("read %ld", read(file, bytes, sizeof(bytes)));
	printf(" %s\n", bytes);
	printf("pread %ld", pread(file, bytes, 4, 1));
	printf(" %.4s\n", bytes);
	printf("pwrite %ld\n", pwrite(file, "J", 1, 0));
	printf("stat %d", stat("/tmp/c/one", &stat_of));
	printf(" %ld %d %lu\n", stat_of.st_size, S_ISREG(stat_of.st_mode), stat_of.st_nlink);
	queue = kqueue();
	EV_SET(&event, file, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_EXTEND | NOTE_LINK | NOTE_RENAME, 0, NULL);
	printf("watched %d\n", kevent(queue, &event, 1, NULL, 0, NULL));
	printf("link %d\n", link("/tmp/c/one", "/tmp/c/two"));
	printf("rename %d\n", rename("/tmp/c/two", "/tmp/c/three"));
	printf("changed %d", kevent(queue, NULL, 0, &event, 1, NULL));
	printf(" %#x\n", event.fflags);
	printf("nothing more %d\n", kevent(queue, NULL, 0, &event, 1, &now));
	printf("truncate %d\n", ftruncate(file, 3));
	printf("fstat %d", fstat(file, &stat_of));
	printf(" %ld %lu\n", stat_of.st_size, stat_of.st_nlink);
	list("/tmp/c");
	result = rmdir("/tmp/c");
	printf("not empty %d %d\n", result, errno == ENOTEMPTY);
	printf("unlink %d", unlink("/tmp/c/one"));
	printf(" %d\n", unlink("/tmp/c/three"));
	result = unlink("/tmp/c/three");
	printf("unlink again %d %d\n", result, errno == ENOENT);
	printf("rmdir %d\n", rmdir("/tmp/c"));
	result = stat(NULL, &stat_of);
	printf("no path %d %d\n", result, errno == EFAULT);
	close(file);
	puts("end");
	return 0;
}
