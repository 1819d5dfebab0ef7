/* string.h, stdlib.h, stdio.h, time.h, unistd.h: what C promises. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int tests, failures;

static void tell(const char *name, const char *why)
{
	tests++;
	if (why == NULL) {
		printf("test %s ok\n", name);
	} else {
		failures++;
		printf("test %s FAILED %s\n", name, why);
	}
}

static char wrong[128];

/* The first format that did not come out as it should. */
static const char *bad;
static bool flawless;

static void __attribute__((format(printf, 2, 3))) expect(const char *wanted, const char *format, ...)
{
	char text[400];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (flawless && (strcmp(text, wanted) != 0 || length != (int)strlen(wanted))) {
		flawless = false;
		snprintf(wrong, sizeof(wrong), "%s gave '%s', not '%s'", format, text, wanted);
		bad = wrong;
	}
}

static const char *begin(void)
{
	bad = NULL;
	flawless = true;
	return NULL;
}

static void formats_of_integers(void)
{
	begin();
	expect("0 -1 42", "%d %d %i", 0, -1, 42);
	expect("-2147483648 4294967295", "%d %u", INT_MIN, UINT_MAX);
	expect("-9223372036854775808 18446744073709551615", "%ld %lu", LONG_MIN, ULONG_MAX);
	expect("   42|42   |00042|+42| 42", "%5d|%-5d|%05d|%+d|% d", 42, 42, 42, 42, 42);
	expect("  042|-0042|", "%5.3d|%.4d|%.0d", 42, -42, 0);
	expect("ff FF 0xff 0XFF 0 000ff", "%x %X %#x %#X %#x %05x", 255, 255, 255, 255, 0, 255);
	expect("17 017 0", "%o %#o %#o", 15, 15, 0);
	expect("-1 255 -1 65535", "%hhd %hhu %hd %hu", -1, 255, -1, 65535);
	expect("    7|7    |7", "%*d|%*d|%.*d", 5, 7, -5, 7, -1, 7);
	expect("18446744073709551615 ffffffff", "%" PRIu64 " %" PRIx32, UINT64_MAX, UINT32_MAX);
	expect("5 6 7", "%zu %jd %td", (size_t)5, (intmax_t)6, (ptrdiff_t)7);
	tell("formats_of_integers", bad);
}

static void formats_of_text(void)
{
	begin();
	expect("abc|  abc|abc  |ab|   ab", "%s|%5s|%-5s|%.2s|%5.2s", "abc", "abc", "abc", "abc", "abc");
	expect("x|  x|x  ", "%c|%3c|%-3c", 'x', 'x', 'x');
	expect("100%", "%d%%", 100);
	expect("0x1234 0", "%p %x", (void *)0x1234, 0);
	expect("", "%s", "");
	tell("formats_of_text", bad);
}

static void formats_of_floating_point_numbers(void)
{
	begin();
	expect("0.000000 1.500000 -2.250000", "%f %f %f", 0.0, 1.5, -2.25);
	expect("0.1 0.10 0 2 2 4", "%.1f %.2f %.0f %.0f %.0f %.0f", 0.1, 0.1, 0.5, 1.5, 2.5, 3.5);
	expect("9.99 10.0 1000 0.00 -0.00", "%.2f %.1f %.0f %.2f %.2f", 9.99, 9.96, 999.9, 0.001, -0.001);
	expect("0.1000000000000000055511151231257827021181583404541015625", "%.55f", 0.1);
	expect("1000000000000000019884624838656.000000", "%f", 1e30);
	expect("1.000000e+00 1.50e-10 -1e+100 9.99e+99 1.0e+100", "%e %.2e %.0e %.2e %.1e", 1.0, 1.5e-10, -1e100,
	       9.99e99, 9.99e99);
	expect("4.9406564584124654e-324", "%.16e", 4.9406564584124654e-324);
	expect("1.7976931348623157e+308", "%.17g", 1.7976931348623157e308);
	expect("0 1 0.1 100000 1e+06 1e-05 0.0001 1.5e-07", "%g %g %g %g %g %g %g %g", 0.0, 1.0, 0.1, 1e5, 1e6, 1e-5,
	       1e-4, 1.5e-7);
	expect("1.00000 0.100000 3.14", "%#g %#g %.3g", 1.0, 0.1, 3.14159);
	expect("  3.14|3.14  |003.14|+3.14| 3.14", "%6.2f|%-6.2f|%06.2f|%+.2f|% .2f", 3.14159, 3.14159, 3.14159,
	       3.14159, 3.14159);
	expect("inf -inf nan   INF", "%f %f %f %5F", __builtin_inf(), -__builtin_inf(), __builtin_nan(""),
	       __builtin_inf());
	expect("2.500000", "%Lf", 2.5L);
	tell("formats_of_floating_point_numbers", bad);
}

static void text_is_cut_where_room_ends(void)
{
	char place[8] = "xxxxxxx";
	int length = snprintf(place, 4, "%s", "abcdef");
	bool cut = length == 6 && strcmp(place, "abc") == 0 && place[4] == 'x';

	tell("text_is_cut_where_room_ends", cut && snprintf(NULL, 0, "%d", 12345) == 5 ? NULL : "it is not");
}

static void long_lines_are_whole(void)
{
	char line[600];
	int length;

	memset(line, 'a', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	length = printf("%s\n", line);
	tell("long_lines_are_whole", length == (int)sizeof(line) ? NULL : "they are not");
}

static void strings(void)
{
	char place[32] = "";
	char list[] = ",a,,bc,";
	char *rest, *copy;
	bool well;

	strcat(strcpy(place, "foo"), "bar");
	strncat(place, "bazqux", 3);
	well = strcmp(place, "foobarbaz") == 0;
	well &= strcmp("a", "b") < 0 && strcmp("b", "a") > 0 && strcmp("a\xff", "ab") > 0 && strcmp("", "") == 0;
	well &= strncmp("abcd", "abce", 3) == 0 && strncmp("abcd", "abce", 4) < 0 && strncmp("a", "b", 0) == 0;
	well &= strlen(place) == 9 && strnlen(place, 4) == 4 && strnlen("ab", 9) == 2;
	well &= strchr(place, 'b') == place + 3 && strrchr(place, 'b') == place + 6;
	well &= strchr(place, '\0') == place + 9 && strchr(place, 'x') == NULL && strrchr(place, '\0') == place + 9;
	well &= strstr(place, "bar") == place + 3 && strstr(place, "") == place && strstr(place, "qux") == NULL;
	well &= strspn("aabbc", "ab") == 4 && strcspn("aabbc", "bc") == 2;
	well &= memchr("abc", 'c', 2) == NULL && memcmp("abc", "abd", 2) == 0 && memcmp("abc", "abd", 3) < 0;
	strncpy(place, "xy", 5);
	well &= memcmp(place, "xy\0\0\0rbaz", 10) == 0;
	copy = strdup("copy");
	well &= strcmp(copy, "copy") == 0;
	free(copy);
	copy = strndup("copy", 2);
	well &= strcmp(copy, "co") == 0;
	free(copy);
	well &= strcmp(strtok_r(list, ",", &rest), "a") == 0 && strcmp(strtok_r(NULL, ",", &rest), "bc") == 0 &&
		strtok_r(NULL, ",", &rest) == NULL;
	well &= strcmp(strerror(EBADF), "Bad file number") == 0 && strcmp(strerror(-1), "Unknown error") == 0;
	tell("strings", well ? NULL : "something is not as it should be");
}

static void numbers(void)
{
	char *end;
	bool well = strtol("  -42x", &end, 10) == -42 && *end == 'x';

	well &= strtoul("0xffffffffffffffff", NULL, 0) == ULONG_MAX && atoi("123abc") == 123 && abs(-3) == 3;
	errno = 0;
	well &= strtol("99999999999999999999", NULL, 10) == LONG_MAX && errno == ERANGE;
	errno = 0;
	well &= strtol("1", NULL, 99) == 0 && errno == EINVAL;
	tell("numbers", well ? NULL : "something is not as it should be");
}

static int by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void memory(void)
{
	bool well = true;
	int *list = NULL;
	int key = 300;
	void *aligned = NULL;

	for (int i = 0; i < 1000; i++) {
		list = realloc(list, (size_t)(i + 1) * sizeof(*list));
		list[i] = (i * 7919) % 1000;
	}
	qsort(list, 1000, sizeof(*list), by_value);
	for (int i = 0; i < 1000; i++)
		well &= list[i] == i;
	well &= bsearch(&key, list, 1000, sizeof(*list), by_value) == &list[300];
	free(list);
	list = calloc(100, sizeof(*list));
	for (int i = 0; i < 100; i++)
		well &= list[i] == 0;
	free(list);
	free(NULL);
	well &= ((uintptr_t)malloc(1) & 15) == 0;
	errno = 0;
	well &= malloc(SIZE_MAX) == NULL && errno == ENOMEM && calloc(SIZE_MAX, 2) == NULL;
	well &= posix_memalign(&aligned, 4096, 10) == 0 && ((uintptr_t)aligned & 4095) == 0;
	free(aligned);
	well &= posix_memalign(&aligned, 3, 10) == EINVAL;
	tell("memory", well ? NULL : "something is not as it should be");
}

/* fstat(2) and stat(2) of what is no file with a name. */
static void types_of_descriptors(void)
{
	struct stat it;
	int ends[2], pair[2], queue = kqueue(), set = epoll_create1(0), polled = open("/dev/poll", O_RDWR);
	bool well = fstat(0, &it) == 0 && S_ISCHR(it.st_mode) && isatty(0) == 1;

	well &= stat("/dev/tty", &it) == 0 && S_ISCHR(it.st_mode) && it.st_nlink == 1;
	well &= stat("/dev/poll", &it) == 0 && S_ISCHR(it.st_mode);
	well &= stat("/dev/nothing", &it) == -1 && errno == ENOENT;
	well &= fstat(queue, &it) == 0 && S_ISFIFO(it.st_mode) && it.st_size == 0;
	well &= fstat(set, &it) == 0 && (it.st_mode & S_IFMT) == 0;
	well &= fstat(polled, &it) == 0 && S_ISCHR(it.st_mode);
	well &= pipe(ends) == 0 && fstat(ends[0], &it) == 0 && S_ISFIFO(it.st_mode);
	well &= socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && fstat(pair[1], &it) == 0 && S_ISSOCK(it.st_mode);
	well &= close(queue) == 0 && fstat(queue, &it) == -1 && errno == EBADF;
	close(set);
	close(polled);
	close(ends[0]);
	close(ends[1]);
	close(pair[0]);
	close(pair[1]);
	tell("types_of_descriptors", well ? NULL : "something has another type");
}

static void descriptors(void)
{
	int file = open("/dev/template", O_RDWR | O_NONBLOCK);
	int other = fcntl(file, F_DUPFD, 20);
	char bytes[8];
	bool well = file > 2 && other >= 20;

	well &= (fcntl(file, F_GETFL) & O_NONBLOCK) != 0 && read(file, bytes, sizeof(bytes)) == -1 && errno == EAGAIN;
	well &= write(other, "abc", 3) == 3 && read(file, bytes, sizeof(bytes)) == 3 && memcmp(bytes, "abc", 3) == 0;
	well &= fcntl(file, F_SETFL, 0) == 0 && (fcntl(other, F_GETFL) & O_NONBLOCK) == 0;
	well &= close(other) == 0 && close(other) == -1 && errno == EBADF;
	well &= fcntl(other, F_GETFD) == -1 && fcntl(file, F_GETFD) == 0 && fcntl(file, 99) == -1 && errno == EINVAL;
	well &= read(file, NULL, 1) == -1 && errno == EFAULT;
	well &= open(NULL, O_RDWR) == -1 && errno == EFAULT;
	well &= open("/dev/nothing", O_RDWR) == -1 && errno == ENOENT;
	well &= isatty(1) == 1 && isatty(file) == 0 && getpid() > 1;
	close(file);
	tell("descriptors", well ? NULL : "something is not as it should be");
}

static void clocks(void)
{
	struct timespec before, after, pause = { 0, 5000000 }, wrong_pause = { 0, -1 };
	bool well = clock_gettime(CLOCK_MONOTONIC, &before) == 0 && nanosleep(&pause, NULL) == 0;

	clock_gettime(CLOCK_MONOTONIC, &after);
	well &= (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >= 5000000;
	well &= nanosleep(&wrong_pause, NULL) == -1 && errno == EINVAL;
	well &= clock_gettime(99, &after) == -1 && errno == EINVAL && clock_gettime(CLOCK_REALTIME, NULL) == -1;
	well &= time(NULL) > 1600000000;
	tell("clocks", well ? NULL : "something is not as it should be");
}

static void floating_point_registers_are_the_threads_own(void)
{
	double sum = 0;

	for (int i = 1; i <= 100; i++) {
		sum += 1.0 / i;
		if (i % 10 == 0)
			usleep(100);
	}
	tell("floating_point_registers_are_the_threads_own", sum > 5.187377 && sum < 5.187378 ? NULL : "the sum is wrong");
}

static void last_words(void)
{
	printf("tests done %d\n", tests);
}

int main(int count, char **arguments)
{
	assert(count == 1 && arguments[1] == NULL);
	assert(getenv("NOTHING") == NULL);
	atexit(last_words);
	formats_of_integers();
	formats_of_text();
	formats_of_floating_point_numbers();
	text_is_cut_where_room_ends();
	long_lines_are_whole();
	strings();
	numbers();
	memory();
	types_of_descriptors();
	descriptors();
	clocks();
	floating_point_registers_are_the_threads_own();
	return failures > 0;
}
