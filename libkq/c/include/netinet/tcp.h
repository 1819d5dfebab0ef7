/* Options of TCP. */
#ifndef KQ_NETINET_TCP_H
#define KQ_NETINET_TCP_H

#define TCP_NODELAY 1

#endif
