/* SPDX-License-Identifier: Apache-2.0 */
/* Free huge pages: count them, and ask the kernel for the missing ones. */
#include "dp/eal/eal_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 500, LOCK_NAP_NS = 10000000 };

static bool read_number(const char *path, uint64_t *out)
{
	FILE *f = fopen(path, "re");
	bool ok;

	if (!f)
		return false;
	ok = fscanf(f, "%lu", out) == 1;
	fclose(f);
	return ok;
}

static bool write_number(const char *path, uint64_t v)
{
	FILE *f = fopen(path, "we");
	bool ok;

	if (!f)
		return false;
	ok = fprintf(f, "%lu\n", v) > 0;
	return fclose(f) == 0 && ok;
}

/* Counting is not enough: a cgroup can forbid what is free. */
static bool trial(uint64_t pages, unsigned shift)
{
	size_t n = (size_t)pages << shift;
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (int)(shift << MAP_HUGE_SHIFT),
		       -1, 0);

	if (p == MAP_FAILED)
		return false;
	munmap(p, n);
	return true;
}

static bool reserve(unsigned kib, unsigned shift, uint32_t need_mib, char *why, size_t n)
{
	char total_path[128], free_path[128], resv_path[128];
	uint64_t need = (((uint64_t)need_mib << 20) + (1ull << shift) - 1) >> shift;
	uint64_t total = 0, free_pages = 0, resv = 0;
	const char *dir = "/sys/kernel/mm/hugepages/hugepages-";

	snprintf(total_path, sizeof(total_path), "%s%ukB/nr_hugepages", dir, kib);
	snprintf(free_path, sizeof(free_path), "%s%ukB/free_hugepages", dir, kib);
	snprintf(resv_path, sizeof(resv_path), "%s%ukB/resv_hugepages", dir, kib);
	if (!read_number(total_path, &total) || !read_number(free_path, &free_pages)) {
		snprintf(why, n, "this kernel has no huge pages of %u kB", kib);
		return false;
	}
	(void)read_number(resv_path, &resv);
	free_pages -= resv < free_pages ? resv : free_pages;
	if (free_pages < need && !write_number(total_path, total + need - free_pages)) {
		snprintf(why, n,
			 "%lu of %lu huge pages of %u kB are free, and raising %s failed (%s)",
			 free_pages, need, kib, total_path, strerror(errno));
		return false;
	}
	if (!trial(need, shift)) {
		if (free_pages < need) /* not to be had: give back what came of the attempt */
			(void)write_number(total_path, total);
		snprintf(why, n, "%lu huge pages of %u kB cannot be had", need, kib);
		return false;
	}
	return true;
}

int eal_huge_lock(void)
{
	/* A lock on a directory leaves nothing behind. Not below /sys: every network namespace
	 * has its own. */
	int fd = open("/proc/sys/vm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct timespec nap = {0, LOCK_NAP_NS};

	for (int i = 0; fd >= 0 && i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			break;
		nanosleep(&nap, NULL);
	}
	return fd;
}

void eal_huge_unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}

bool eal_huge_reserve_2m(uint32_t need_mib, char *why, size_t n)
{
	return reserve(2048, 21, need_mib, why, n);
}

bool eal_huge_reserve_1g(uint32_t need_mib, char *why, size_t n)
{
	return reserve(1048576, 30, need_mib, why, n);
}
