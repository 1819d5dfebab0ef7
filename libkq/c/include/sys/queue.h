/* queue(3): lists whose links are in their elements. SLIST and STAILQ are linked one way, LIST and TAILQ both; STAILQ and TAILQ
   know their end, too. */
#ifndef KQ_SYS_QUEUE_H
#define KQ_SYS_QUEUE_H

#include <stddef.h>

#define SLIST_HEAD(name, type)       \
	struct name {                \
		struct type *slh_first; \
	}
#define SLIST_HEAD_INITIALIZER(head) { NULL }
#define SLIST_ENTRY(type)           \
	struct {                    \
		struct type *sle_next; \
	}
#define SLIST_INIT(head) ((void)((head)->slh_first = NULL))
#define SLIST_EMPTY(head) ((head)->slh_first == NULL)
#define SLIST_FIRST(head) ((head)->slh_first)
#define SLIST_NEXT(element, link) ((element)->link.sle_next)
#define SLIST_FOREACH(at, head, link) for ((at) = SLIST_FIRST(head); (at) != NULL; (at) = SLIST_NEXT(at, link))
#define SLIST_FOREACH_SAFE(at, head, link, next) \
	for ((at) = SLIST_FIRST(head); (at) != NULL && ((next) = SLIST_NEXT(at, link), 1); (at) = (next))
#define SLIST_INSERT_HEAD(head, element, link)                \
	do {                                                  \
		(element)->link.sle_next = (head)->slh_first; \
		(head)->slh_first = (element);                \
	} while (0)
#define SLIST_INSERT_AFTER(before, element, link)                    \
	do {                                                         \
		(element)->link.sle_next = (before)->link.sle_next; \
		(before)->link.sle_next = (element);                 \
	} while (0)
#define SLIST_REMOVE_HEAD(head, link) ((void)((head)->slh_first = (head)->slh_first->link.sle_next))
#define SLIST_REMOVE_AFTER(before, link) ((void)((before)->link.sle_next = (before)->link.sle_next->link.sle_next))
#define SLIST_REMOVE(head, element, type, link)                   \
	do {                                                      \
		struct type **__at = &(head)->slh_first;          \
		while (*__at != (element))                        \
			__at = &(*__at)->link.sle_next;           \
		*__at = (element)->link.sle_next;                 \
	} while (0)

#define LIST_HEAD(name, type)          \
	struct name {                  \
		struct type *lh_first; \
	}
#define LIST_HEAD_INITIALIZER(head) { NULL }
/* le_prev: where the pointer to this element is. */
#define LIST_ENTRY(type)               \
	struct {                       \
		struct type *le_next;  \
		struct type **le_prev; \
	}
#define LIST_INIT(head) ((void)((head)->lh_first = NULL))
#define LIST_EMPTY(head) ((head)->lh_first == NULL)
#define LIST_FIRST(head) ((head)->lh_first)
#define LIST_NEXT(element, link) ((element)->link.le_next)
#define LIST_FOREACH(at, head, link) for ((at) = LIST_FIRST(head); (at) != NULL; (at) = LIST_NEXT(at, link))
#define LIST_FOREACH_SAFE(at, head, link, next) \
	for ((at) = LIST_FIRST(head); (at) != NULL && ((next) = LIST_NEXT(at, link), 1); (at) = (next))
#define __KQ_LIST_INSERT(place, element, link)                                             \
	do {                                                                               \
		(element)->link.le_prev = (place);                                         \
		(element)->link.le_next = *(element)->link.le_prev;                        \
		*(element)->link.le_prev = (element);                                      \
		if ((element)->link.le_next != NULL)                                       \
			(element)->link.le_next->link.le_prev = &(element)->link.le_next; \
	} while (0)
#define LIST_INSERT_HEAD(head, element, link) __KQ_LIST_INSERT(&(head)->lh_first, element, link)
#define LIST_INSERT_AFTER(before, element, link) __KQ_LIST_INSERT(&(before)->link.le_next, element, link)
#define LIST_INSERT_BEFORE(behind, element, link) __KQ_LIST_INSERT((behind)->link.le_prev, element, link)
#define LIST_REMOVE(element, link)                                                        \
	do {                                                                              \
		*(element)->link.le_prev = (element)->link.le_next;                       \
		if ((element)->link.le_next != NULL)                                      \
			(element)->link.le_next->link.le_prev = (element)->link.le_prev; \
	} while (0)

/* stqh_last: where the pointer to the next last element goes. */
#define STAILQ_HEAD(name, type)           \
	struct name {                     \
		struct type *stqh_first;  \
		struct type **stqh_last;  \
	}
#define STAILQ_HEAD_INITIALIZER(head) { NULL, &(head).stqh_first }
#define STAILQ_ENTRY(type)             \
	struct {                       \
		struct type *stqe_next; \
	}
#define STAILQ_INIT(head)                                  \
	do {                                               \
		(head)->stqh_first = NULL;                 \
		(head)->stqh_last = &(head)->stqh_first; \
	} while (0)
#define STAILQ_EMPTY(head) ((head)->stqh_first == NULL)
#define STAILQ_FIRST(head) ((head)->stqh_first)
#define STAILQ_NEXT(element, link) ((element)->link.stqe_next)
#define STAILQ_FOREACH(at, head, link) for ((at) = STAILQ_FIRST(head); (at) != NULL; (at) = STAILQ_NEXT(at, link))
#define STAILQ_FOREACH_SAFE(at, head, link, next) \
	for ((at) = STAILQ_FIRST(head); (at) != NULL && ((next) = STAILQ_NEXT(at, link), 1); (at) = (next))
#define __KQ_STAILQ_INSERT(head, place, element, link)                         \
	do {                                                                   \
		(element)->link.stqe_next = *(place);                          \
		if ((element)->link.stqe_next == NULL)                         \
			(head)->stqh_last = &(element)->link.stqe_next;        \
		*(place) = (element);                                          \
	} while (0)
#define STAILQ_INSERT_HEAD(head, element, link) __KQ_STAILQ_INSERT(head, &(head)->stqh_first, element, link)
#define STAILQ_INSERT_AFTER(head, before, element, link) \
	__KQ_STAILQ_INSERT(head, &(before)->link.stqe_next, element, link)
#define STAILQ_INSERT_TAIL(head, element, link)                         \
	do {                                                            \
		(element)->link.stqe_next = NULL;                       \
		*(head)->stqh_last = (element);                         \
		(head)->stqh_last = &(element)->link.stqe_next;         \
	} while (0)
#define STAILQ_REMOVE_HEAD(head, link)                                          \
	do {                                                                    \
		(head)->stqh_first = (head)->stqh_first->link.stqe_next;        \
		if ((head)->stqh_first == NULL)                                 \
			(head)->stqh_last = &(head)->stqh_first;                \
	} while (0)
#define STAILQ_REMOVE(head, element, type, link)                  \
	do {                                                      \
		struct type **__at = &(head)->stqh_first;         \
		while (*__at != (element))                        \
			__at = &(*__at)->link.stqe_next;          \
		*__at = (element)->link.stqe_next;                \
		if (*__at == NULL)                                \
			(head)->stqh_last = __at;                 \
	} while (0)

/* tqe_prev: where the pointer to this element is; tqh_last: where that to the next last one goes. */
#define TAILQ_HEAD(name, type)          \
	struct name {                   \
		struct type *tqh_first; \
		struct type **tqh_last; \
	}
#define TAILQ_HEAD_INITIALIZER(head) { NULL, &(head).tqh_first }
#define TAILQ_ENTRY(type)               \
	struct {                        \
		struct type *tqe_next;  \
		struct type **tqe_prev; \
	}
#define TAILQ_INIT(head)                                \
	do {                                            \
		(head)->tqh_first = NULL;               \
		(head)->tqh_last = &(head)->tqh_first; \
	} while (0)
#define TAILQ_EMPTY(head) ((head)->tqh_first == NULL)
#define TAILQ_FIRST(head) ((head)->tqh_first)
#define TAILQ_NEXT(element, link) ((element)->link.tqe_next)
/* The head and each link have the same layout: the pointer to an element, which is found through it, stands before the
   place of the pointer to whoever has it. */
#define TAILQ_LAST(head, name) (*((struct name *)(void *)(head)->tqh_last)->tqh_last)
#define TAILQ_PREV(element, name, link) (*((struct name *)(void *)(element)->link.tqe_prev)->tqh_last)
#define TAILQ_FOREACH(at, head, link) for ((at) = TAILQ_FIRST(head); (at) != NULL; (at) = TAILQ_NEXT(at, link))
#define TAILQ_FOREACH_SAFE(at, head, link, next) \
	for ((at) = TAILQ_FIRST(head); (at) != NULL && ((next) = TAILQ_NEXT(at, link), 1); (at) = (next))
#define TAILQ_FOREACH_REVERSE(at, head, name, link) \
	for ((at) = TAILQ_LAST(head, name); (at) != NULL; (at) = TAILQ_PREV(at, name, link))
#define __KQ_TAILQ_INSERT(head, place, element, link)                                        \
	do {                                                                                 \
		(element)->link.tqe_prev = (place);                                          \
		(element)->link.tqe_next = *(element)->link.tqe_prev;                        \
		*(element)->link.tqe_prev = (element);                                       \
		if ((element)->link.tqe_next != NULL)                                        \
			(element)->link.tqe_next->link.tqe_prev = &(element)->link.tqe_next; \
		else                                                                         \
			(head)->tqh_last = &(element)->link.tqe_next;                        \
	} while (0)
#define TAILQ_INSERT_HEAD(head, element, link) __KQ_TAILQ_INSERT(head, &(head)->tqh_first, element, link)
#define TAILQ_INSERT_TAIL(head, element, link)                  \
	do {                                                    \
		(element)->link.tqe_prev = (head)->tqh_last;    \
		(element)->link.tqe_next = NULL;                \
		*(head)->tqh_last = (element);                  \
		(head)->tqh_last = &(element)->link.tqe_next;   \
	} while (0)
#define TAILQ_INSERT_AFTER(head, before, element, link) \
	__KQ_TAILQ_INSERT(head, &(before)->link.tqe_next, element, link)
#define TAILQ_INSERT_BEFORE(behind, element, link)                    \
	do {                                                          \
		(element)->link.tqe_prev = (behind)->link.tqe_prev;   \
		(element)->link.tqe_next = (behind);                  \
		*(behind)->link.tqe_prev = (element);                 \
		(behind)->link.tqe_prev = &(element)->link.tqe_next;  \
	} while (0)
#define TAILQ_REMOVE(head, element, link)                                                  \
	do {                                                                               \
		if ((element)->link.tqe_next != NULL)                                      \
			(element)->link.tqe_next->link.tqe_prev = (element)->link.tqe_prev; \
		else                                                                       \
			(head)->tqh_last = (element)->link.tqe_prev;                       \
		*(element)->link.tqe_prev = (element)->link.tqe_next;                      \
	} while (0)

#endif
