/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/epoch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 64 };

static const char *const names[] = {
	[EPOCH_ACCEPTED] = "acceptedEpoch", [EPOCH_CURRENT] = "currentEpoch"};
static const char *const temps[] = {
	[EPOCH_ACCEPTED] = "acceptedEpoch.tmp", [EPOCH_CURRENT] = "currentEpoch.tmp"};

static enum zk_err failed(struct disk *d, enum disk_dir dir, const char *name, enum zk_err err,
			  char *why)
{
	snprintf(why, EPOCH_WHY_MAX, "%s/%s: %s", disk_dir_text(d, dir), name, disk_error_text(d));
	return err;
}

/* Long.parseLong(): a sign, digits, nothing else. */
static bool parse(const char *s, size_t n, int64_t *out)
{
	bool minus = n > 0 && s[0] == '-';
	uint64_t v = 0, max = (uint64_t)INT64_MAX + minus;
	size_t i = n > 0 && (s[0] == '-' || s[0] == '+');

	if (i == n)
		return false;
	for (; i < n; i++) {
		unsigned digit = (unsigned)(uint8_t)s[i] - '0';

		if (digit > 9 || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = minus ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static enum zk_err read_number(struct disk *d, enum disk_dir dir, const char *name, int64_t *value,
			       char *why)
{
	char text[TEXT_MAX];
	size_t n = 0, line = 0;
	int file;
	enum zk_err err = disk_open(d, dir, name, DISK_READ, &file);

	if (err == ZK_ENOENT)
		return err;
	if (err != ZK_EOK)
		return failed(d, dir, name, err, why);
	err = disk_read(d, file, 0, text, sizeof(text), &n);
	disk_close(d, file);
	if (err != ZK_EOK)
		return failed(d, dir, name, err, why);
	while (line < n && text[line] != '\n' && text[line] != '\r')
		line++;
	if (parse(text, line, value))
		return ZK_EOK;
	snprintf(why, EPOCH_WHY_MAX, "%s/%s: not a number in its first line", disk_dir_text(d, dir),
		 name);
	return ZK_EINVAL;
}

enum zk_err epoch_read(struct disk *d, enum epoch_file file, int64_t *value,
		       char why[EPOCH_WHY_MAX])
{
	return read_number(d, DISK_DATA, names[file], value, why);
}

enum zk_err epoch_read_myid(struct disk *d, int64_t *id, char why[EPOCH_WHY_MAX])
{
	return read_number(d, DISK_DATA_TOP, "myid", id, why);
}

enum zk_err epoch_write(struct disk *d, enum epoch_file which, int64_t value,
			char why[EPOCH_WHY_MAX])
{
	char text[TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%" PRId64, value), file;
	enum zk_err err = disk_open(d, DISK_DATA, temps[which], DISK_REPLACE, &file);

	if (err != ZK_EOK)
		return failed(d, DISK_DATA, temps[which], err, why);
	err = disk_write(d, file, 0, text, (size_t)n);
	if (err == ZK_EOK)
		err = disk_sync(d, file);
	disk_close(d, file);
	if (err == ZK_EOK)
		err = disk_rename(d, DISK_DATA, temps[which], names[which]);
	if (err == ZK_EOK)
		err = disk_sync_dir(d, DISK_DATA);
	return err == ZK_EOK ? ZK_EOK : failed(d, DISK_DATA, names[which], err, why);
}

/* Made from the last zxid where it is missing. */
static enum zk_err read_or_make(struct disk *d, enum epoch_file which, int64_t epoch,
				int64_t *value, char *why)
{
	enum zk_err err = epoch_read(d, which, value, why);

	if (err != ZK_ENOENT)
		return err;
	*value = epoch;
	return epoch_write(d, which, epoch, why);
}

/* The log is further than currentEpoch: the server went down while a leader brought it up to date.
 * @return ZK_EOK; ZK_EINVAL with a line in @p why: that cannot be how it came about. */
static enum zk_err behind_the_log(struct disk *d, uint64_t last_zxid, struct epochs *e, char *why)
{
	int64_t value;
	enum zk_err err = read_number(d, DISK_DATA, temps[EPOCH_CURRENT], &value, why);

	/* between the file and its rename (QuorumPeer.loadDataBase()) */
	if (err == ZK_EOK && value > e->current) {
		e->current = value;
		return epoch_write(d, EPOCH_CURRENT, value, why);
	}
	if (err != ZK_EOK && err != ZK_ENOENT && err != ZK_EINVAL)
		return err;
	/* Before: the promise to take part in the new epoch comes first of all, then its log. */
	err = epoch_read(d, EPOCH_ACCEPTED, &value, why);
	if (err == ZK_EOK && value >= (int64_t)(last_zxid >> 32)) {
		e->unfinished = true;
		return ZK_EOK;
	}
	if (err == ZK_EOK || err == ZK_ENOENT) {
		snprintf(why, EPOCH_WHY_MAX,
			 "currentEpoch %" PRId64 " is older than the last zxid 0x%" PRIx64,
			 e->current, last_zxid);
		return ZK_EINVAL;
	}
	return err;
}

enum zk_err epoch_load(struct disk *d, uint64_t last_zxid, struct epochs *out,
		       char why[EPOCH_WHY_MAX])
{
	int64_t epoch = (int64_t)(last_zxid >> 32);
	/* a name that a killed process gave may be in memory only, and is a promise from now on */
	enum zk_err err = disk_sync_dir(d, DISK_DATA);

	out->unfinished = false;
	if (err != ZK_EOK)
		return failed(d, DISK_DATA, names[EPOCH_CURRENT], err, why);
	err = read_or_make(d, EPOCH_CURRENT, epoch, &out->current, why);
	if (err == ZK_EOK && epoch > out->current)
		err = behind_the_log(d, last_zxid, out, why);
	if (err == ZK_EOK)
		err = read_or_make(d, EPOCH_ACCEPTED, epoch, &out->accepted, why);
	if (err == ZK_EOK && out->accepted < out->current) {
		snprintf(why, EPOCH_WHY_MAX,
			 "acceptedEpoch %" PRId64 " is less than currentEpoch %" PRId64,
			 out->accepted, out->current);
		return ZK_EINVAL;
	}
	return err;
}
