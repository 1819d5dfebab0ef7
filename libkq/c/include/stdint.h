/* Integer types: the compiler's own. */
#ifndef KQ_STDINT_H
#define KQ_STDINT_H

#include <stdint-gcc.h>

#endif
