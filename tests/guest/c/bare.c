/* Without a terminal: numbers 0 to 2 are closed, and nobody gets one who has not asked for it. */

#include <errno.h>
#include <stdio.h>
#include <sys/event.h>
#include <unistd.h>

int main(void)
{
	const char *flaw = NULL;
	char text[32] = "";
	int ends[2], queue, count;

	if (pipe(ends) != 0 || ends[0] < 3 || ends[1] < 3)
		flaw = "a pipe has a number of the standard ones";
	queue = kqueue();
	if (queue < 3 || dup(queue) < 3)
		flaw = "a queue has a number of the standard ones";
	if (write(1, "x", 1) != -1 || errno != EBADF || close(2) != -1 || read(0, text, 1) != -1)
		flaw = "a standard number is open";
	if (dup2(ends[1], 1) != 1 || printf("hello\n") != 6)
		flaw = "dup2 is refused";
	count = (int)read(ends[0], text, sizeof(text));
	if (close(1) != 0 || count != 6)
		flaw = "what is printed does not come to where it should";
	if (flaw == NULL)
		printf("test standard_numbers_are_reserved ok\n");
	else
		printf("test standard_numbers_are_reserved FAILED %s\n", flaw);
	printf("tests done 1\n");
	return flaw != NULL;
}
