/* sys/event.h: what the twin in Rust does, in C. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/event.h>
#include <unistd.h>

static const struct timespec now = { 0, 0 };

static void tell(const char *what, const struct kevent *events, int count)
{
	printf("%s: %d\n", what, count);
	for (int i = 0; i < count; i++)
		printf("  ident %lu filter %d flags %#x fflags %#x data %ld udata %lu\n", events[i].ident,
		       events[i].filter, events[i].flags, events[i].fflags, events[i].data,
		       (unsigned long)events[i].udata);
}

int main(void)
{
	struct kevent list[4];
	struct timespec begin, end;
	int queue, file, count;

	puts("begin");
	queue = kqueue();
	file = open("/dev/template", O_RDWR | O_NONBLOCK);
	printf("descriptors %d\n", queue >= 0 && file >= 0 && queue != file);
	EV_SET(&list[0], file, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, (void *)7);
	tell("nothing yet", list, kevent(queue, list, 1, list, 4, &now));
	printf("wrote %ld\n", write(file, "hello", 5));
	count = kevent(queue, NULL, 0, list, 4, NULL);
	list[0].ident -= (uintptr_t)file;
	tell("bytes", list, count);
	tell("the edge once", list, kevent(queue, NULL, 0, list, 4, &now));

	EV_SET(&list[0], 1, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, 0, (void *)8);
	EV_SET(&list[1], 2, EVFILT_USER, EV_DELETE, 0, 0, NULL);
	EV_SET(&list[2], 999, EVFILT_READ, EV_ADD, 0, 0, NULL);
	tell("answers", list, kevent(queue, list, 3, list, 4, NULL));
	EV_SET(&list[0], 1, EVFILT_USER, 0, NOTE_TRIGGER | NOTE_FFOR | 0x12, 3, (void *)9);
	tell("triggered", list, kevent(queue, list, 1, list, 4, NULL));
	EV_SET(&list[0], 1, EVFILT_USER, EV_DELETE, 0, 0, NULL);
	printf("deleted %d\n", kevent(queue, list, 1, NULL, 0, NULL));
	count = kevent(queue, list, 1, NULL, 0, NULL);
	printf("deleted again %d %d\n", count, errno == ENOENT);

	clock_gettime(CLOCK_MONOTONIC, &begin);
	EV_SET(&list[0], 3, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_MSECONDS, 20, NULL);
	tell("timer", list, kevent(queue, list, 1, list, 4, NULL));
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("not early %d\n",
	       (end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec >= 20000000);

	count = kevent(queue, NULL, -1, list, 4, &now);
	printf("a negative count %d %d\n", count, errno == EINVAL);
	count = kevent(queue, NULL, 1, list, 4, &now);
	printf("no list %d %d\n", count, errno == EFAULT);
	count = kevent(file, NULL, 0, list, 4, &now);
	printf("no queue %d %d\n", count, errno == EBADF);
	count = kevent(queue, NULL, 0, list, 4, &(struct timespec){ 0, 1000000000 });
	printf("no time %d %d\n", count, errno == EINVAL);
	close(file);
	tell("closed", list, kevent(queue, NULL, 0, list, 4, &now));
	printf("closed %d\n", close(queue));
	puts("end");
	return EXIT_SUCCESS;
}
