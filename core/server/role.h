/* SPDX-License-Identifier: Apache-2.0 */
/** What a server is in its ensemble. */
#ifndef ZK_SERVER_ROLE_H
#define ZK_SERVER_ROLE_H

enum srv_role {
	ROLE_ALONE,    /* standalone */
	ROLE_LOOKING,  /* for a leader; serves nobody */
	ROLE_READONLY, /* ... but reads, to clients that ask for no more (readonlymode.enabled) */
	ROLE_LEADING,
	ROLE_FOLLOWING,
	ROLE_OBSERVING,
};

#endif
