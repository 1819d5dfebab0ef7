/* kqueue(2): the layout of FreeBSD 12 and later, and its values. */
#ifndef KQ_SYS_EVENT_H
#define KQ_SYS_EVENT_H

#include <sys/types.h>
#include <time.h>

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_VNODE (-4)
#define EVFILT_PROC (-5)
#define EVFILT_SIGNAL (-6)
#define EVFILT_TIMER (-7)
#define EVFILT_USER (-11)
/* Not FreeBSD's: urgent data. */
#define EVFILT_EXCEPT (-32)

#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_DISPATCH 0x0080
#define EV_KEEPUDATA 0x0200
/* New: limits wake-ups, not visibility, to one waiter. */
#define EV_WAKEONE 0x0400
/* DragonFly's: at the end, and nothing left to read. */
#define EV_NODATA 0x1000
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

/* EVFILT_READ, EVFILT_WRITE */
#define NOTE_LOWAT 0x0001
#define NOTE_FILE_POLL 0x0002
/* EVFILT_EXCEPT */
#define NOTE_OOB 0x0002
/* EVFILT_VNODE */
#define NOTE_DELETE 0x0001
#define NOTE_WRITE 0x0002
#define NOTE_EXTEND 0x0004
#define NOTE_ATTRIB 0x0008
#define NOTE_LINK 0x0010
#define NOTE_RENAME 0x0020
#define NOTE_REVOKE 0x0040
#define NOTE_OPEN 0x0080
#define NOTE_CLOSE 0x0100
#define NOTE_CLOSE_WRITE 0x0200
#define NOTE_READ 0x0400
/* EVFILT_PROC */
#define NOTE_EXIT 0x80000000u
#define NOTE_FORK 0x40000000u
#define NOTE_EXEC 0x20000000u
#define NOTE_TRACK 0x0001
#define NOTE_TRACKERR 0x0002
#define NOTE_CHILD 0x0004
/* EVFILT_TIMER; milliseconds where none is given */
#define NOTE_SECONDS 0x0001
#define NOTE_MSECONDS 0x0002
#define NOTE_USECONDS 0x0004
#define NOTE_NSECONDS 0x0008
#define NOTE_ABSTIME 0x0010
/* EVFILT_USER */
#define NOTE_FFNOP 0x00000000u
#define NOTE_FFAND 0x40000000u
#define NOTE_FFOR 0x80000000u
#define NOTE_FFCOPY 0xc0000000u
#define NOTE_FFCTRLMASK 0xc0000000u
#define NOTE_FFLAGSMASK 0x00ffffffu
#define NOTE_TRIGGER 0x01000000u

struct kevent {
	uintptr_t ident;
	short filter;
	unsigned short flags;
	unsigned int fflags;
	int64_t data;
	void *udata;
	uint64_t ext[4];	/* not kept: 0 in every event */
};

_Static_assert(sizeof(struct kevent) == 64, "the layout of FreeBSD 12");

#define EV_SET(kevp, i, fi, fl, ff, da, ud) \
	(*(kevp) = (struct kevent){ .ident = (uintptr_t)(i), .filter = (short)(fi), .flags = (unsigned short)(fl), \
				    .fflags = (unsigned int)(ff), .data = (int64_t)(da), .udata = (ud) })

/* Whom an arrival wakes of those who sleep for it with EV_WAKEONE. Where nobody fits, whoever sleeps. */
#ifndef WAKE_AUTO
#define WAKE_ALL 0		/* one sleeper of each queue */
#define WAKE_ONE_THIS_CPU 1	/* one on the CPU where it arose */
#define WAKE_ONE_OTHER_CPU 2	/* one on another */
#define WAKE_ONE_PER_CPU 3	/* one for each CPU on which somebody sleeps */
#define WAKE_ROUND_ROBIN 4	/* one, each in turn */
#define WAKE_AUTO 5		/* one, on a CPU that has nothing else to do */
#endif

int kqueue(void);
int kevent(int queue, const struct kevent *changes, int change_count, struct kevent *events, int event_count,
	   const struct timespec *timeout);
/* -1: no policy of one's own. The second is for all who have the file. */
int kevent_wake_policy(int queue, uintptr_t ident, short filter, int policy);
int kevent_file_wake_policy(int queue, uintptr_t ident, short filter, int policy);

#endif
