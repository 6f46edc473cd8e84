/* SPDX-License-Identifier: Apache-2.0 */
/** Shared by config.c and keys.c; nobody else includes it. */
#ifndef ZK_CTL_CONFIG_INT_H
#define ZK_CTL_CONFIG_INT_H

#include "ctl/server/config.h"
#include "ctl/server/props.h"

/** A parse under way. */
struct config_ctx {
	const char *file;
	const struct config_cpus *cpus;
	const struct props *props;
	struct config *c;
	FILE *err;
	unsigned bad;
	/* as written; resolved when everything is read */
	int64_t min_session, max_session; /* -1 = derived from the tick */
	bool cores_auto, leader_auto, has_mac, has_memory_limit;
	unsigned cores_line;
};

/** One line: "FILE:LINE: KEY: what follows". @p p NULL: the key is not in the file. */
void config_bad(struct config_ctx *x, const struct prop *p, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void config_warn(struct config_ctx *x, const struct prop *p, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** Take one setting: known keys into x->c, unknown ones as a warning. */
void config_key(struct config_ctx *x, const struct prop *p);

#endif
