/* Clocks and sleep. */
#ifndef KQ_TIME_H
#define KQ_TIME_H

#include <sys/types.h>

struct timespec {
	time_t tv_sec;
	long tv_nsec;
};

/* The values are Redox's. */
#define CLOCK_REALTIME 1
#define CLOCK_MONOTONIC 4

int clock_gettime(clockid_t clock, struct timespec *time);
int clock_getres(clockid_t clock, struct timespec *resolution);
int nanosleep(const struct timespec *time, struct timespec *left);
time_t time(time_t *place);

#endif
