/* getopt(3). Long options are not there. */
#ifndef KQ_GETOPT_H
#define KQ_GETOPT_H

#include <unistd.h>

#endif
