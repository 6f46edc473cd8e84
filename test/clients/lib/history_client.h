/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of the history checker: what it asked, what it saw, what it may still expect. */
#ifndef HISTORY_CLIENT_H
#define HISTORY_CLIENT_H

#include "history_wire.h"

enum {
	GROUPS = 6,
	ACCOUNTS = 4,
	CHILDREN = ACCOUNTS, /* the slot of a group's parent node; below it are the accounts */
	SLOTS,
	LIVE_PAIRS = 3, /* pairs of children that a group's parent has at even versions */
	READERS = 40,
	WRITERS = 3,
	CLIENTS = READERS + WRITERS,
	REQUESTS = 256, /* in flight per connection, at most; a power of two */
	LOGGED = 24,
	DATA_BYTES = 64,
	PATH_BYTES = 96,
	BALANCE = 1000, /* of each account at the beginning */
};

enum kind {
	K_READ,
	K_EXISTS,
	K_CHILDREN,
	K_MULTI_READ,
	K_OWN_CREATE,
	K_OWN_SET,
	K_OWN_READ,
	K_OWN_BAD_SET,
	K_PING,
	K_MISSING,
	K_SYNC,
	K_TRANSFER,
	K_BAD_TRANSFER,
	K_SET_WATCHES,
	K_ADD_WATCH,
	K_SETUP,
	K_EVENT, /* not a request; for the log */
	K_CONNECTED,
	KINDS,
};

static const char *const kind_names[KINDS] = {
	"getData",      "exists",      "getChildren2", "multiRead", "create own", "setData own",
	"getData own",  "bad setData", "ping",         "missing",   "sync",       "transfer",
	"bad transfer", "setWatches",  "addWatch",     "setup",     "EVENT",      "connected",
};

struct request {
	int32_t xid;
	uint8_t kind;
	uint8_t group, slot;
	bool watch;
	int32_t want;      /* the exact version that the reply must show, or -1 */
	int64_t want_zxid; /* the reply's header is at least this */
};

struct logged {
	uint8_t kind, group, slot;
	bool watch;
	int32_t xid, version;
	int64_t zxid;
};

/* What a client may expect of one group. */
struct view {
	int32_t floor;         /* no reply may show an older version */
	int32_t armed[SLOTS];  /* the version at which the watch was set, or -1 */
	bool asked[SLOTS];     /* a request that sets the watch is in flight */
	bool resent[SLOTS];    /* armed again by setWatches */
	int64_t sum_zxid;      /* getData replies of one header zxid: */
	uint32_t sum_accounts; /* which accounts they showed, and */
	int64_t sum;           /* their balances together */
};

struct client {
	int fd, old_fd, index, port;
	bool writer, connected, waiting_out, final;
	int64_t session;
	uint8_t password[16];
	int64_t last_zxid, last_event;
	int32_t next_xid;
	uint32_t head, tail; /* requests[head..tail) are in flight */
	struct request requests[REQUESTS];
	struct view views[GROUPS];
	int32_t own_sent, own_pending;
	/* A persistent watch on account 0 of one group: every version gives one event. */
	int persistent_group;       /* -1: none */
	bool persistent_set;        /* addWatch was answered */
	int32_t persistent_version; /* -1: not known yet */
	long replies, until_reconnect;
	struct logged log[LOGGED];
	uint32_t logged;
	size_t in_len;
	uint8_t in[WIRE_BUFFER_BYTES];
	struct out out;
};

#endif
