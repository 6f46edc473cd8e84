/* SPDX-License-Identifier: Apache-2.0 */
/** Shared by the files that read the configuration; nobody else includes it. */
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

/** The same of another file than x->file. */
void config_bad_in(struct config_ctx *x, const char *file, const struct prop *p, const char *key,
		   const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void config_warn_in(struct config_ctx *x, const char *file, const struct prop *p, const char *fmt,
		    ...) __attribute__((format(printf, 4, 5)));

/** All of a file, at most one byte more than PROPS_BYTES_MAX. @return what the caller free()s; NULL
 * with a reason in @p why of @p cap bytes. */
char *config_read(const char *file, size_t *n, char *why, size_t cap);

/** Take one setting: known keys into x->c, unknown ones as a warning. */
void config_key(struct config_ctx *x, const struct prop *p);

/** Is it one of server.N, group.N, weight.N and version? */
bool config_is_member(const char *name);
void config_quorum_defaults(struct config_quorum *q);
/** When all keys are in: members, this server's own part, dp.peerDevice. Reads dynamicConfigFile
 * and dataDir/myid and asks for the addresses of names, if there is an ensemble. */
void config_quorum_resolve(struct config_ctx *x);

#endif
