/* Pieces of memory. */
#ifndef KQ_SYS_UIO_H
#define KQ_SYS_UIO_H

#include <sys/types.h>

struct iovec {
	void *iov_base;
	size_t iov_len;
};

#endif
