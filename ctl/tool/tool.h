/* SPDX-License-Identifier: Apache-2.0 */
/** zokorctl: the operator's tool. Everything here may block. */
#ifndef ZK_CTL_TOOL_H
#define ZK_CTL_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { TOOL_OK, TOOL_FAILED, TOOL_USAGE }; /* exit codes, as zokord's */
enum { TOOL_PATH_MAX = 1100, TOOL_TEXT_MAX = 4096 };

extern const char tool_usage[];

/** What of a configuration the tool needs; read through `zokord --check`, so that there is one
 * parser. */
struct target {
	const char *config; /* as given on the command line; borrowed */
	char zokord[TOOL_PATH_MAX];
	char data_dir[TOOL_PATH_MAX];
	char address[16]; /* dotted quad */
	uint16_t port;
};

/** Find zokord (beside this program, else in PATH) and let it check @p config; its complaints go to
 * standard error. @return TOOL_OK with *t filled, TOOL_USAGE (bad configuration), TOOL_FAILED. */
int target_read(const char *config, struct target *t);

/** Send a four-letter word over a kernel socket and read the answer, at most @p ms.
 *  @return bytes in @p out (terminated), or -1 when nobody answers. */
ssize_t probe_word(const struct target *t, const char *word, int ms, char *out, size_t cap);

/** The value behind "Mode: " in what `srvr` says, "" of a server that looks for its leader; false
 *  when nobody answers so. */
bool probe_mode(const struct target *t, int ms, char *mode, size_t cap);

/** `zokorctl server COMMAND CONFIG`. @return the exit code. */
int server_command(const char *command, const char *config);

/** Options and files of an offline command. */
struct tool_args {
	bool json;
	unsigned top; /* -n */
	const char *logs;
	char **files;
	int n;
};

/** `zokorctl txnlog dump|verify FILE...`, `txnlog recover FILE OUT`. @return the exit code. */
int txnlog_command(const char *command, const struct tool_args *args);

/** `zokorctl snapshot dump|verify|top FILE...`, `snapshot diff A B`. @return the exit code. */
int snapshot_command(const char *command, const struct tool_args *args);

/** The pieces of it that compare and count. */
int snapshot_diff(const struct tool_args *args);
int snapshot_top(const struct tool_args *args);

/** `zokorctl data check DIR`. @return the exit code. */
int data_command(const char *command, const struct tool_args *args);

#endif
