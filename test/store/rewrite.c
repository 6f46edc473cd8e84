/* SPDX-License-Identifier: Apache-2.0 */
/* Read a snapshot and write what was read.
 *   rewrite IN OUT         the same parts
 *   rewrite IN OUT ZXID    with the last zxid behind it, as 3.9 does
 */
#include "core/base/assert.h"
#include "core/store/snap.h"

#include <stdio.h>
#include <stdlib.h>

enum { OUT_BYTES = 4 << 20, LENGTH_MAX = 2 << 20 };

struct rewrite {
	struct snap_writer w;
	struct jute_out out;
	uint32_t sessions, acls;
	struct zk_span in;
};

static uint8_t *read_all(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	uint8_t *p;
	long size;

	if (!f || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) {
		perror(path);
		exit(1);
	}
	rewind(f);
	*n = (size_t)size;
	p = malloc(*n + 1);
	if (!p || fread(p, 1, *n, f) != *n) {
		perror(path);
		exit(1);
	}
	fclose(f);
	return p;
}

static void must(enum zk_err err)
{
	if (err != ZK_EOK) {
		fprintf(stderr, "rewrite: %s\n", zk_err_text(err));
		exit(1);
	}
}

/* The counts come first in the file, so they are counted in a first pass. */
static void count(struct rewrite *rw)
{
	struct snap_reader r;
	struct snap_item item;
	enum snap_step step;

	snap_reader_init(&r, LENGTH_MAX);
	do {
		step = snap_next(&r, zk_span_of(rw->in.p + r.at, rw->in.n - r.at), true, &item);
		rw->sessions += step == SNAP_SESSION;
		rw->acls += step == SNAP_ACL;
		if (step == SNAP_BAD) {
			fprintf(stderr, "rewrite: offset %llu: %s\n", (unsigned long long)item.at,
				store_bad_text(item.bad));
			exit(1);
		}
	} while (step != SNAP_END);
}

static void put(struct rewrite *rw, enum snap_step step, const struct snap_item *item, bool *acls)
{
	if (step != SNAP_SESSION && !*acls) {
		*acls = true;
		must(snap_put_acls(&rw->w, &rw->out, rw->acls));
	}
	switch (step) {
	case SNAP_SESSION:
		must(snap_put_session(&rw->w, &rw->out, item->session.id,
				      item->session.timeout_ms));
		break;
	case SNAP_ACL:
		must(snap_put_acl(&rw->w, &rw->out, item->acl.key, item->acl.jute));
		break;
	case SNAP_NODE:
		must(snap_put_node(&rw->w, &rw->out, &item->node));
		break;
	case SNAP_SEALED:
		must(snap_put_seal(&rw->w, &rw->out));
		break;
	case SNAP_DIGEST:
		must(snap_put_digest(&rw->w, &rw->out, item->digest.zxid, item->digest.tree));
		break;
	default:
		must(snap_put_last_zxid(&rw->w, &rw->out, item->last_zxid));
	}
}

static void drain(struct rewrite *rw, FILE *f)
{
	size_t n = jute_out_len(&rw->out);

	if (fwrite(rw->out.start, 1, n, f) != n) {
		perror("rewrite");
		exit(1);
	}
	rw->out.p = rw->out.start;
}

int main(int argc, char **argv)
{
	struct rewrite rw = {0};
	struct snap_reader r;
	struct snap_item item;
	enum snap_step step;
	bool acls = false;
	uint8_t *buf = malloc(OUT_BYTES);
	FILE *f;

	if (argc < 3 || !buf)
		return 2;
	rw.in.p = read_all(argv[1], &rw.in.n);
	f = fopen(argv[2], "wbx");
	if (!f) {
		perror(argv[2]);
		return 1;
	}
	count(&rw);
	rw.out = jute_out_of(buf, OUT_BYTES);
	snap_writer_init(&rw.w);
	must(snap_put_begin(&rw.w, &rw.out, rw.sessions));
	snap_reader_init(&r, LENGTH_MAX);
	for (;;) {
		step = snap_next(&r, zk_span_of(rw.in.p + r.at, rw.in.n - r.at), true, &item);
		if (step == SNAP_END)
			break;
		put(&rw, step, &item, &acls);
		drain(&rw, f);
	}
	if (argc > 3)
		must(snap_put_last_zxid(&rw.w, &rw.out, strtoull(argv[3], NULL, 16)));
	drain(&rw, f);
	free(buf);
	free((void *)(uintptr_t)rw.in.p);
	return fclose(f) == 0 ? 0 : 1;
}
