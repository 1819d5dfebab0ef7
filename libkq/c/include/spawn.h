/* Starting programs. */
#ifndef KQ_SPAWN_H
#define KQ_SPAWN_H

#include <sys/types.h>

/* There are none: null. */
typedef struct __kq_spawn_actions posix_spawn_file_actions_t;

/* Set by the calls below only. */
typedef struct {
	unsigned long __quota;
	unsigned long __unused[7];
} posix_spawnattr_t;

int posix_spawn(pid_t *process, const char *path, const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[]);

int posix_spawnattr_init(posix_spawnattr_t *attributes);
int posix_spawnattr_destroy(posix_spawnattr_t *attributes);

/* Not POSIX: the bytes of memory that the program may use, 8 MiB unless set. EINVAL: 0. */
int posix_spawnattr_setquota_np(posix_spawnattr_t *attributes, size_t bytes);
int posix_spawnattr_getquota_np(const posix_spawnattr_t *attributes, size_t *bytes);

#endif
