/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/replace.h"

#include "core/store/files.h"
#include "core/store/txnlog.h"

#include <stdio.h>

#define WHOLE_PREFIX ".snapshot."
#define WHOLE_SUFFIX ".whole"

void replace_name(uint64_t zxid, char out[STORE_NAME_MAX])
{
	int n = snprintf(out, STORE_NAME_MAX, WHOLE_PREFIX "%llx" WHOLE_SUFFIX,
			 (unsigned long long)zxid);

	zk_assert(n > 0 && n < STORE_NAME_MAX);
}

bool replace_name_parse(const char *name, uint64_t *zxid)
{
	size_t n = strlen(name), suffix = strlen(WHOLE_SUFFIX);
	char back[STORE_NAME_MAX];
	struct store_name parsed;

	if (n <= suffix + 1 || name[0] != '.' || strcmp(name + n - suffix, WHOLE_SUFFIX) != 0)
		return false;
	if (!store_name_parse(zk_span_of(name + 1, n - 1 - suffix), &parsed) ||
	    parsed.kind != STORE_SNAPSHOT)
		return false;
	replace_name(parsed.zxid, back);
	if (strcmp(name, back) != 0)
		return false;
	*zxid = parsed.zxid;
	return true;
}

struct finding {
	unsigned n;
	uint64_t zxid;
};

static bool find(void *arg, const char *name, uint64_t bytes)
{
	struct finding *f = arg;

	(void)bytes;
	f->n += replace_name_parse(name, &f->zxid);
	return true;
}

static enum zk_err failed(struct disk *d, enum disk_dir dir, const char *name, enum zk_err err,
			  struct replace_result *out)
{
	snprintf(out->why, sizeof(out->why), "%s%s%s: %s", disk_dir_text(d, dir), name ? "/" : "",
		 name ? name : "", err == ZK_ENOMEM ? zk_err_text(err) : disk_error_text(d));
	return err;
}

/* Everything of that kind but @p keep (may be NULL), the newest first. */
static enum zk_err remove_all(struct disk *d, struct zk_mem *mem, enum disk_dir dir,
			      enum store_kind kind, const char *keep, unsigned *removed,
			      struct replace_result *out)
{
	struct store_files fs;
	enum zk_err err = store_files_list(&fs, mem, d, dir, kind);

	if (err != ZK_EOK)
		(void)failed(d, dir, NULL, err, out);
	for (size_t i = fs.n; i > 0 && err == ZK_EOK; i--) {
		if (keep && strcmp(fs.v[i - 1].text, keep) == 0)
			continue;
		err = disk_unlink(d, dir, fs.v[i - 1].text);
		if (err != ZK_EOK)
			(void)failed(d, dir, fs.v[i - 1].text, err, out);
		else
			++*removed;
	}
	store_files_free(&fs);
	if (err != ZK_EOK)
		return err;
	/* also what an earlier run has removed */
	err = disk_sync_dir(d, dir);
	return err == ZK_EOK ? ZK_EOK : failed(d, dir, NULL, err, out);
}

/* A log of no record: its name alone keeps Apache from taking the directory for a new one. */
static enum zk_err make_empty_log(struct disk *d, const char *name, struct replace_result *out)
{
	uint8_t header[TXNLOG_HEADER_BYTES];
	struct jute_out o = jute_out_of(header, sizeof(header));
	enum zk_err err;
	int file;

	txnlog_put_header(&o);
	err = disk_open(d, DISK_LOG, name, DISK_REPLACE, &file);
	if (err == ZK_EOK) {
		err = disk_write(d, file, 0, header, sizeof(header));
		if (err == ZK_EOK)
			err = disk_sync(d, file);
		disk_close(d, file);
	}
	if (err == ZK_EOK)
		err = disk_sync_dir(d, DISK_LOG);
	return err == ZK_EOK ? ZK_EOK : failed(d, DISK_LOG, name, err, out);
}

/* The rename is safe: nobody needs it any more. */
static enum zk_err remove_empty_log(struct disk *d, const char *name, struct replace_result *out)
{
	enum zk_err err = disk_unlink(d, DISK_LOG, name);

	if (err == ZK_EOK)
		err = disk_sync_dir(d, DISK_LOG);
	return err == ZK_EOK ? ZK_EOK : failed(d, DISK_LOG, name, err, out);
}

enum zk_err replace_finish(struct disk *d, struct zk_mem *mem, struct replace_result *out)
{
	struct finding f = {0};
	struct store_name name = {.kind = STORE_SNAPSHOT}, log = {.kind = STORE_LOG};
	char whole[STORE_NAME_MAX], text[STORE_NAME_MAX], empty[STORE_NAME_MAX];
	enum zk_err err;

	*out = (struct replace_result){0};
	err = disk_list(d, DISK_DATA, find, &f);
	if (err != ZK_EOK)
		return failed(d, DISK_DATA, NULL, err, out);
	if (f.n == 0)
		return ZK_EOK;
	if (f.n > 1) {
		snprintf(out->why, sizeof(out->why),
			 "%s: more than one " WHOLE_PREFIX "*" WHOLE_SUFFIX,
			 disk_dir_text(d, DISK_DATA));
		return ZK_EINVAL;
	}
	out->found = true;
	out->zxid = name.zxid = f.zxid;
	replace_name(f.zxid, whole);
	store_name_format(&name, text);
	log.zxid = f.zxid + 1; /* as the next log will be called, which takes its place */
	store_name_format(&log, empty);
	/* Its name must outlive what it replaces. */
	err = disk_sync_dir(d, DISK_DATA);
	if (err != ZK_EOK)
		return failed(d, DISK_DATA, NULL, err, out);
	err = remove_all(d, mem, DISK_DATA, STORE_SNAPSHOT, NULL, &out->snapshots, out);
	if (err == ZK_EOK)
		err = make_empty_log(d, empty, out);
	if (err == ZK_EOK)
		err = remove_all(d, mem, DISK_LOG, STORE_LOG, empty, &out->logs, out);
	if (err != ZK_EOK)
		return err;
	err = disk_rename(d, DISK_DATA, whole, text);
	if (err == ZK_EOK)
		err = disk_sync_dir(d, DISK_DATA);
	if (err != ZK_EOK)
		return failed(d, DISK_DATA, text, err, out);
	return remove_empty_log(d, empty, out);
}
