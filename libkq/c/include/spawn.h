/* Starting programs. */
#ifndef KQ_SPAWN_H
#define KQ_SPAWN_H

#include <sys/types.h>

/* There are none: null. */
typedef struct __kq_spawn_actions posix_spawn_file_actions_t;
typedef struct __kq_spawn_attributes posix_spawnattr_t;

int posix_spawn(pid_t *process, const char *path, const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[]);

#endif
