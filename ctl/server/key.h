/* SPDX-License-Identifier: Apache-2.0 */
/** One key of zoo.cfg and the setters that several keys share; for keys.c and config_quorum.c. Each
 * setter writes the field that the key names and returns NULL, or what is wrong. Main thread. */
#ifndef ZK_CTL_KEY_H
#define ZK_CTL_KEY_H

#include "ctl/server/config_int.h"

#include <stddef.h>

struct key {
	const char *name;
	const char *(*set)(struct config_ctx *x, const struct key *k, const char *value);
	size_t offset, size; /* of the field in struct config */
	int64_t min, max;
};

#define KEY_FIELD(x, k) ((void *)((char *)(x)->c + (k)->offset))
#define KEY_AT(field)   offsetof(struct config, field), sizeof(((struct config *)0)->field)
#define KEY(name, set)                                                                             \
	{                                                                                          \
		name, set, 0, 0, 0, 0                                                              \
	}
#define KEYF(name, set, f)                                                                         \
	{                                                                                          \
		name, set, KEY_AT(f), 0, 0                                                         \
	}
#define KEYN(name, set, f, min, max)                                                               \
	{                                                                                          \
		name, set, KEY_AT(f), min, max                                                     \
	}

/** Decimal, within min and max. */
const char *key_u32(struct config_ctx *x, const struct key *k, const char *value);
/** Long.getLong() */
const char *key_java_u64(struct config_ctx *x, const struct key *k, const char *value);
/** Long.getLong() of a size in KiB, kept in bytes; what is not above zero turns it off. */
const char *key_java_kib(struct config_ctx *x, const struct key *k, const char *value);
/** Integer.getInteger() */
const char *key_java_u32(struct config_ctx *x, const struct key *k, const char *value);
/** Integer.getInteger() */
const char *key_java_i32(struct config_ctx *x, const struct key *k, const char *value);
/** Integer.getInteger(), where Apache takes every number <= 0 for "off". */
const char *key_java_limit(struct config_ctx *x, const struct key *k, const char *value);
/** Integer.getInteger(), where Apache keeps its default for every number <= 0. */
const char *key_java_positive(struct config_ctx *x, const struct key *k, const char *value);
/** Double.parseDouble() of a share. */
const char *key_share(struct config_ctx *x, const struct key *k, const char *value);
/** A limit where Apache takes every number <= 0 for "off". */
const char *key_limit(struct config_ctx *x, const struct key *k, const char *value);
const char *key_u16(struct config_ctx *x, const struct key *k, const char *value);
const char *key_string(struct config_ctx *x, const struct key *k, const char *value);
/** Boolean.getBoolean(): anything but true is false. */
const char *key_java_bool(struct config_ctx *x, const struct key *k, const char *value);
/** true or false, as QuorumPeerConfig.parseBoolean(). */
const char *key_bool(struct config_ctx *x, const struct key *k, const char *value);
/** System.getProperty(..).equals("yes") */
const char *key_yes(struct config_ctx *x, const struct key *k, const char *value);
const char *key_ipv4(struct config_ctx *x, const struct key *k, const char *value);
const char *key_buffer(struct config_ctx *x, const struct key *k, const char *value);
/** Accepted, without effect here; the type is checked as Apache checks it. */
const char *key_skip_any(struct config_ctx *x, const struct key *k, const char *value);
const char *key_skip_int(struct config_ctx *x, const struct key *k, const char *value);
const char *key_skip_bool(struct config_ctx *x, const struct key *k, const char *value);
/** Protection that an operator asks for and would not get: better no server. */
const char *key_refuse_any(struct config_ctx *x, const struct key *k, const char *value);
const char *key_refuse_true(struct config_ctx *x, const struct key *k, const char *value);

/** The keys of an ensemble. @return NULL: none of them. @p property: a name without `zookeeper.`,
 * of those that Apache turns into system properties. */
const struct key *config_quorum_key(const char *name, bool property);

#endif
