/* pthread.h: what the twin in Rust does, in C. */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4
#define ROUNDS 1000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static long sum, turn, initialised, destroyed;

static void initialise(void)
{
	initialised++;
}

static void destroy(void *value)
{
	pthread_mutex_lock(&mutex);
	destroyed += *(long *)value;
	pthread_mutex_unlock(&mutex);
}

static void leave(void *result)
{
	pthread_exit(result);
}

static void *count(void *argument)
{
	long *number = argument;

	pthread_once(&once, initialise);
	pthread_setspecific(key, number);
	errno = (int)*number;
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		sum += *number;
		pthread_mutex_unlock(&mutex);
	}
	pthread_mutex_lock(&mutex);
	while (turn != *number)
		pthread_cond_wait(&cond, &mutex);
	printf("thread %ld has errno %d\n", *number, errno);
	turn++;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	if (*number % 2 == 0)
		leave(number);
	return number;
}

int main(void)
{
	pthread_t thread[THREADS];
	long number[THREADS];
	struct timespec until = { 0, 0 };
	void *result;

	puts("begin");
	pthread_key_create(&key, destroy);
	errno = 77;
	for (long i = 0; i < THREADS; i++) {
		number[i] = i + 1;
		if (pthread_create(&thread[i], NULL, count, &number[i]) != 0)
			abort();
	}
	pthread_mutex_lock(&mutex);
	turn = 1;
	pthread_cond_broadcast(&cond);
	while (turn <= THREADS)
		pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < THREADS; i++) {
		int joined = pthread_join(thread[i], &result);

		printf("joined %d, result %ld\n", joined, *(long *)result);
	}
	printf("sum %ld, initialised %ld, destroyed %ld, errno %d\n", sum, initialised, destroyed, errno);
	pthread_mutex_lock(&mutex);
	printf("locked %d, late %d\n", pthread_mutex_trylock(&mutex) == EBUSY,
	       pthread_cond_timedwait(&cond, &mutex, &until) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
	printf("itself %d\n", pthread_join(pthread_self(), NULL) == EDEADLK);
	puts("end");
	return 0;
}
