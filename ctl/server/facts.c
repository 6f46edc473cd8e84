/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/facts.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { PATH_BYTES = 2048, FILES_MAX = 100000 };

/* The main thread writes, anybody reads, relaxed: figures only. */
static _Atomic uint64_t open_files, max_files, data_bytes, log_bytes;

static uint64_t count_files(const char *path)
{
	DIR *d = opendir(path);
	uint64_t n = 0;

	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d)) != NULL && n < FILES_MAX;)
		if (e->d_name[0] != '.')
			n++;
	closedir(d);
	return n;
}

/* Apache adds up dataDir/version-2. */
static uint64_t dir_bytes(const char *dir)
{
	char path[PATH_BYTES];
	uint64_t sum = 0;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/version-2", dir);
	d = opendir(path);
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d)) != NULL && n < FILES_MAX; n++) {
		struct stat st;

		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	}
	closedir(d);
	return sum;
}

void facts_refresh(const char *data_dir, const char *log_dir, bool dirs)
{
	struct rlimit lim = {0};

	(void)getrlimit(RLIMIT_NOFILE, &lim);
	atomic_store_explicit(&max_files, lim.rlim_cur, memory_order_relaxed);
	atomic_store_explicit(&open_files, count_files("/proc/self/fd"), memory_order_relaxed);
	if (!dirs)
		return;
	atomic_store_explicit(&data_bytes, dir_bytes(data_dir), memory_order_relaxed);
	atomic_store_explicit(&log_bytes, dir_bytes(log_dir), memory_order_relaxed);
}

struct srv_os facts_get(void)
{
	return (struct srv_os){
		.open_files = atomic_load_explicit(&open_files, memory_order_relaxed),
		.max_files = atomic_load_explicit(&max_files, memory_order_relaxed),
		.data_dir_bytes = atomic_load_explicit(&data_bytes, memory_order_relaxed),
		.log_dir_bytes = atomic_load_explicit(&log_bytes, memory_order_relaxed),
	};
}
