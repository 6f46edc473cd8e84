/* SPDX-License-Identifier: Apache-2.0 */
/** Znode paths as the server judges them (PathUtils.validatePath, spec/semantics.md section 2). */
#ifndef ZK_TXN_PATH_H
#define ZK_TXN_PATH_H

#include "core/base/span.h"

/** Is @p path legal as the name of a node? Bytes that are not UTF-8 are not, nor is anything that
 *  needs a surrogate in Java. Null and empty are not. Any context; bound: linear. */
bool txn_path_valid(struct zk_span path);

/** The parent as create and delete find it: the text before the last '/', "/" when that is empty.
 *  @return false: no '/' in it, or a NUL. @p path must not be null. Any context; bound: linear. */
bool txn_path_parent(struct zk_span path, struct zk_span *parent);

/** "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config": never deleted. */
bool txn_path_special(struct zk_span path);

#endif
