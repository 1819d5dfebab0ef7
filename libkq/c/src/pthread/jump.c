/* The way out of a thread: pthread_exit(3) jumps over the C program's own frames, which Rust cannot. */

struct way_out {
	void *place[5];
	void *result;
};

/* Where the calling thread keeps it; null in the first thread. */
struct way_out **__kq_way_out(void);
_Noreturn void __kq_first_leaves(void);

void *__kq_run(void *(*routine)(void *), void *argument)
{
	struct way_out out;

	if (__builtin_setjmp(out.place) == 0) {
		*__kq_way_out() = &out;
		out.result = routine(argument);
	}
	return ((volatile struct way_out *)&out)->result;
}

_Noreturn void pthread_exit(void *result)
{
	struct way_out *out = *__kq_way_out();

	if (out == 0)
		__kq_first_leaves();
	out->result = result;
	__builtin_longjmp(out->place, 1);
}
