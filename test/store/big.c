/* SPDX-License-Identifier: Apache-2.0 */
/* A data directory with a snapshot of many nodes, for the benchmark of restarts.
 *   big DIR NODES BYTES    DIR/version-2/snapshot.<zxid>: NODES nodes of BYTES each, 1,000 in a
 * folder
 */
#include "core/base/assert.h"
#include "core/store/name.h"
#include "core/store/snap.h"

#include <stdio.h>
#include <stdlib.h>

enum { OUT_BYTES = 8 << 20, LOW_BYTES = 4 << 20, FOLDER = 1000, FIXED = 4 };

static struct jute_out out;
static struct snap_writer w;
static uint64_t digest, zxid;
static FILE *file;

static void drain(void)
{
	size_t n = jute_out_len(&out);

	if (fwrite(out.start, 1, n, file) != n) {
		perror("big");
		exit(1);
	}
	out.p = out.start;
}

static void must(enum zk_err err)
{
	zk_assert(err == ZK_EOK);
	if (jute_out_len(&out) > LOW_BYTES)
		drain();
}

static void put(const char *path, struct zk_span data, int32_t cversion, int32_t aversion)
{
	bool predefined = strcmp(path, "") == 0 || strncmp(path, "/zookeeper", 10) == 0;
	uint64_t z = predefined ? 0 : ++zxid;
	struct snap_node n = {.path = zk_span_str(path),
			      .data = data,
			      .acl_key = SNAP_ACL_OPEN,
			      .stat = {.czxid = z,
				       .mzxid = z,
				       .pzxid = z,
				       .ctime = predefined ? 0 : 1700000000000,
				       .mtime = predefined ? 0 : 1700000000000,
				       .cversion = cversion,
				       .aversion = aversion}};

	digest += store_node_digest(n.path, n.data, &n.stat);
	must(snap_put_node(&w, &out, &n));
}

int main(int argc, char **argv)
{
	struct store_name name = {.kind = STORE_SNAPSHOT};
	struct zk_span empty = zk_span_of("", 0);
	char path[4096], text[STORE_NAME_MAX];
	unsigned long nodes, bytes, folders;
	uint8_t *data;

	if (argc != 4)
		return 2;
	nodes = strtoul(argv[2], NULL, 10);
	bytes = strtoul(argv[3], NULL, 10);
	folders = (nodes + FOLDER - 1) / FOLDER;
	name.zxid = nodes + folders;
	store_name_format(&name, text);
	snprintf(path, sizeof(path), "%s/version-2/%s", argv[1], text);
	file = fopen(path, "wb");
	data = malloc(bytes + 1);
	out = jute_out_of(malloc(OUT_BYTES), OUT_BYTES);
	if (!file || !data || !out.start) {
		perror(path);
		return 1;
	}
	memset(data, 'x', bytes);
	snap_writer_init(&w);
	must(snap_put_begin(&w, &out, 0));
	must(snap_put_acls(&w, &out, 0));
	put("", empty, (int32_t)folders, 0);
	put("/zookeeper", empty, 0, 0);
	put("/zookeeper/config", empty, 0, -1);
	put("/zookeeper/quota", empty, 0, 0);
	for (unsigned long i = 0, left = nodes; i < folders; i++) {
		unsigned long n = left < FOLDER ? left : FOLDER;

		snprintf(path, sizeof(path), "/f%06lu", i);
		put(path, empty, (int32_t)n, 0);
		for (unsigned long k = 0; k < n; k++) {
			snprintf(path, sizeof(path), "/f%06lu/n%04lu", i, k);
			put(path, zk_span_of(data, bytes), 0, 0);
		}
		left -= n;
	}
	must(snap_put_seal(&w, &out));
	must(snap_put_digest(&w, &out, name.zxid, digest));
	must(snap_put_last_zxid(&w, &out, name.zxid));
	drain();
	printf("%lu\n", nodes + folders + FIXED);
	return fclose(file) != 0;
}
