/* SPDX-License-Identifier: Apache-2.0 */
/** `zokorctl data check`: the parts. */
#ifndef ZK_CTL_TOOL_CHECK_H
#define ZK_CTL_TOOL_CHECK_H

#include "core/store/name.h"
#include "ctl/tool/out.h"
#include "ctl/tool/tool.h"

enum { CHECK_PATH_MAX = 2 * TOOL_PATH_MAX };

struct check_file {
	struct store_name name;
	char *path;
	bool ok;
};

struct check_list {
	struct check_file *v;
	size_t n;
};

struct check {
	bool json;
	json_t *json_problems;
	uint64_t problems;
	struct check_list snapshots, logs; /* ascending zxid */
	struct check_list whole; /* leaders' snapshots that are about to replace all else */
	char data_dir[CHECK_PATH_MAX], log_dir[CHECK_PATH_MAX]; /* the version-2 folders */
};

/** Say what is wrong with @p path. */
__attribute__((format(printf, 3, 4))) void check_problem(struct check *c, const char *path,
							 const char *fmt, ...);

/** Find the folders and the files in them. @return false: said why. */
bool check_find(struct check *c, const char *dir, const char *logs);
void check_fini(struct check *c);

/** When a replacement of everything (core/store/replace.h) was broken off: say so, and go on with
 * what it leaves when it is finished. */
void check_replaced(struct check *c);

/** myid, currentEpoch and acceptedEpoch against the last zxid. */
void check_small_files(struct check *c, uint64_t last_zxid);

#endif
