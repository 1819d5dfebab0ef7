/* What programs of BSD expect here. */
#ifndef KQ_SYS_PARAM_H
#define KQ_SYS_PARAM_H

#include <limits.h>
#include <sys/types.h>

#define MAXPATHLEN PATH_MAX
#define NBBY CHAR_BIT

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define nitems(list) (sizeof(list) / sizeof((list)[0]))
#define howmany(count, size) (((count) + ((size) - 1)) / (size))
#define roundup(count, size) (howmany(count, size) * (size))
#define rounddown(count, size) ((count) / (size) * (size))
#define powerof2(number) ((((number) - 1) & (number)) == 0)

#endif
