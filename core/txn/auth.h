/* SPDX-License-Identifier: Apache-2.0 */
/** Identities, ACL checks and ACL fix-up (spec/semantics.md section 6, client-protocol.md section
 * 8).
 *
 * Schemes: world, ip, digest, auth, super. Identities of a connection travel to the leader as a
 * Jute vector of {scheme, id}, as in a forwarded REQUEST.
 */
#ifndef ZK_TXN_AUTH_H
#define ZK_TXN_AUTH_H

#include "core/base/err.h"
#include "core/base/span.h"
#include "core/tree/acl.h"

#include <stdbool.h>

enum { AUTH_IDS_MAX = 16, AUTH_ID_BYTES_MAX = 256, AUTH_IDS_BYTES_MAX = 2048 };

struct auth_id {
	struct zk_span scheme, id;
};

/** Parsed identities; spans borrow from the vector they were parsed from. */
struct auth_ids {
	unsigned n;
	struct auth_id v[AUTH_IDS_MAX];
	bool super;
};

struct auth_conf {
	char super_digest[128]; /* DigestAuthenticationProvider.superDigest, "super:base64"; "" =
				   none */
	bool skip_acl;          /* skipACL=yes */
	bool digest_sha256;     /* digestAlg: SHA1 (default) or SHA-256 */
};

/** Parse a Jute vector of Id. @return ZK_EOK or ZK_EINVAL (more than AUTH_IDS_MAX, malformed). */
ZK_MUST_USE enum zk_err auth_ids_parse(struct zk_span jute, struct auth_ids *out);

/** Authenticate with @p scheme and @p data: append the new identities to the encoded vector @p ids
 * of *n bytes (capacity AUTH_IDS_BYTES_MAX); duplicates collapse. @return ZK_EOK or ZK_AUTHFAILED.
 */
ZK_MUST_USE enum zk_err auth_add(const struct auth_conf *conf, struct zk_span scheme,
				 struct zk_span data, uint8_t *ids, size_t *n);

/** The vector every connection starts with: {ip, text of the address}. Returns its length. */
size_t auth_ids_init(uint8_t *ids, const char *ip_text);

/** Does @p acl grant one of @p perm to @p ids? */
bool auth_allows(const struct auth_conf *conf, const struct acl_list *acl, int32_t perm,
		 const struct auth_ids *ids);

/** The same for an ACL in wire form, as auth_fixup() writes it. */
bool auth_allows_jute(const struct auth_conf *conf, struct zk_span acl, int32_t perm,
		      const struct auth_ids *ids);

/** fixupACL: check and expand the ACL vector at the front of @p in (as read from a request) into @p
 * out.
 *  @return ZK_EOK with *n bytes written (a Jute vector), ZK_INVALIDACL, ZK_MARSHALLINGERROR,
 *  ZK_ETOOBIG when @p cap is too small. */
struct jute_in;
ZK_MUST_USE enum zk_err auth_fixup(const struct auth_conf *conf, struct jute_in *in,
				   const struct auth_ids *ids, uint8_t *out, size_t cap, size_t *n);

#endif
