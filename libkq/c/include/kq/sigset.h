/* Sets of signals, for all headers that have masks. */
#ifndef KQ_KQ_SIGSET_H
#define KQ_KQ_SIGSET_H

#include <stdint.h>

/* Bit n - 1 is signal n. */
typedef uint64_t sigset_t;

#endif
