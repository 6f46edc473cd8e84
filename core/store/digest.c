/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/digest.h"

#include "core/tree/digest.h"

uint32_t store_node_digest(struct zk_span path, struct zk_span data, const struct store_stat *st)
{
	if (!tree_digest_counts(path))
		return 0;
	return tree_digest_node(tree_digest_content(path, data),
				&(struct tree_raw){.czxid = st->czxid,
						   .mzxid = st->mzxid,
						   .pzxid = st->pzxid,
						   .ctime = st->ctime,
						   .mtime = st->mtime,
						   .version = st->version,
						   .cversion = st->cversion,
						   .aversion = st->aversion,
						   .owner = st->owner});
}
