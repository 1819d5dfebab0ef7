/* sched_yield(2) and getcpu(2). */
#ifndef KQ_SCHED_H
#define KQ_SCHED_H

int sched_yield(void);
int getcpu(unsigned *cpu, unsigned *node);

#endif
