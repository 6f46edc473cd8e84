/* SPDX-License-Identifier: Apache-2.0 */
/** The ip scheme's address expressions (IPAuthenticationProvider, spec/client-protocol.md section
 * 8): IPv4 or IPv6 text, an ACL id may add "/bits". */
#ifndef ZK_TXN_AUTH_IP_H
#define ZK_TXN_AUTH_IP_H

#include "core/base/span.h"

/** Is @p expr good as the id of an ACL entry? Any context; bound: its length. */
bool auth_ip_valid(struct zk_span expr);

/** Is the address @p id inside the ACL's @p expr? False when either is malformed or the families
 * differ. Any context; bound: their lengths. */
bool auth_ip_matches(struct zk_span id, struct zk_span expr);

#endif
