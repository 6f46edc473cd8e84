/* SPDX-License-Identifier: Apache-2.0 */
/** Compressed snapshots as Apache writes them (SnapStream.java): gzip, or Snappy in the framing of
 * snappy-java's SnappyOutputStream (16 bytes header, then blocks of 32 KiB, each behind its
 * length).
 */
#ifndef ZK_CTL_SNAP_PACK_H
#define ZK_CTL_SNAP_PACK_H

#include "core/store/snap_file.h"

/** A packer for one file. @return ZK_EOK with *out, for snap_packer_free(), NULL for STORE_PLAIN;
 * ZK_ENOMEM. Any thread; used on the thread of its file. */
ZK_MUST_USE enum zk_err snap_packer_new(enum store_pack kind, struct snap_pack **out);
/** NULL is allowed. */
void snap_packer_free(struct snap_pack *p);

#endif
