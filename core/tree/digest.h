/* SPDX-License-Identifier: Apache-2.0 */
/** What a node adds to the digest of the tree (DigestCalculator.java, version 2; spec/semantics.md
 * section 13): CRC-32 over path, data and stored stat. The digest of the tree is the sum of these
 * modulo 2^64 (AdHash.java). The part over path and data is kept, so that a change of the stat, as
 * of the parent in every create, costs 60 bytes and not the data.
 */
#ifndef ZK_TREE_DIGEST_H
#define ZK_TREE_DIGEST_H

#include "core/base/span.h"
#include "core/tree/tree.h"

#include <stdbool.h>

/** Nodes below /zookeeper do not count, /zookeeper itself does. */
bool tree_digest_counts(struct zk_span path);

/** The part over path ("" or "/" is the root) and data. Any context; linear. */
uint32_t tree_digest_content(struct zk_span path, struct zk_span data);

/** A node's contribution: @p content continued over the stored fields of @p raw. Whether the node
 * counts is the caller's question. Any context; bound: constant. */
uint32_t tree_digest_node(uint32_t content, const struct tree_raw *raw);

#endif
