/* SPDX-License-Identifier: Apache-2.0 */
#include "core/txn/auth.h"

#include "core/base/assert.h"
#include "core/jute/jute.h"
#include "core/jute/proto.h"
#include "core/txn/auth_ip.h"
#include "core/txn/utf8.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

/* fixupACL compares every entry with every other: beyond this many the vector is refused. */
enum { ACL_ENTRIES_MAX = 1000 };

/* Credentials that are not UTF-8 are refused when they decode to more than this. */
enum { AUTH_BAD_UTF8_MAX = 4096 };

static bool is(struct zk_span s, const char *text)
{
	return zk_span_eq(s, zk_span_str(text));
}

enum zk_err auth_ids_parse(struct zk_span jute, struct auth_ids *out)
{
	struct jute_in in = jute_in_of(jute);
	bool null;
	int32_t n = jute_count(&in, &null);

	out->n = 0;
	out->super = false;
	if (n > AUTH_IDS_MAX)
		return ZK_EINVAL;
	for (int32_t i = 0; i < n; i++) {
		struct auth_id *id = &out->v[i];

		id->scheme = jute_bytes(&in);
		id->id = jute_bytes(&in);
		out->super = out->super || is(id->scheme, "super");
	}
	if (in.bad) {
		out->super = false;
		return ZK_EINVAL;
	}
	out->n = (unsigned)n;
	return ZK_EOK;
}

size_t auth_ids_init(uint8_t *ids, const char *ip_text)
{
	size_t n = strlen(ip_text);

	zk_assert(n <= AUTH_ID_BYTES_MAX);
	zk_put32(ids, 1);
	zk_put32(ids + 4, 2);
	memcpy(ids + 8, "ip", 2);
	zk_put32(ids + 10, (uint32_t)n);
	memcpy(ids + 14, ip_text, n);
	return 14 + n;
}

/* Append {scheme, id} unless it is there. False: no room. */
static bool ids_append(uint8_t *ids, size_t *n, struct zk_span scheme, struct zk_span id)
{
	struct auth_ids have;
	struct jute_out out = jute_out_of(ids + *n, AUTH_IDS_BYTES_MAX - *n);

	if (auth_ids_parse(zk_span_of(ids, *n), &have) != ZK_EOK)
		return false;
	for (unsigned i = 0; i < have.n; i++) {
		if (zk_span_eq(have.v[i].scheme, scheme) && zk_span_eq(have.v[i].id, id))
			return true;
	}
	if (have.n == AUTH_IDS_MAX)
		return false;
	jute_put_bytes(&out, scheme);
	jute_put_bytes(&out, id);
	if (out.full)
		return false;
	zk_put32(ids, have.n + 1);
	*n += jute_out_len(&out);
	return true;
}

/* user ":" base64(hash(whole text)); the user is the text before the first ':' or all of it
 * (DigestAuthenticationProvider.generateDigest). Returns the length, 0 when it does not fit. */
static size_t digest_id(const struct auth_conf *conf, struct zk_span data, uint8_t *out, size_t cap)
{
	uint8_t hash[SHA256_DIGEST_LENGTH], text[4 * ((SHA256_DIGEST_LENGTH + 2) / 3) + 1];
	const uint8_t *colon = data.n ? memchr(data.p, ':', data.n) : NULL;
	size_t user = colon ? (size_t)(colon - data.p) : data.n;
	int len = conf->digest_sha256 ? SHA256_DIGEST_LENGTH : SHA_DIGEST_LENGTH;

	if (conf->digest_sha256)
		SHA256(data.p, data.n, hash);
	else
		SHA1(data.p, data.n, hash);
	size_t coded = (size_t)EVP_EncodeBlock(text, hash, len);

	if (user + 1 + coded > cap)
		return 0;
	if (user)
		memcpy(out, data.p, user);
	out[user] = ':';
	memcpy(out + user + 1, text, coded);
	return user + 1 + coded;
}

static enum zk_err add_digest(const struct auth_conf *conf, struct zk_span data, uint8_t *ids,
			      size_t *n)
{
	uint8_t text[AUTH_ID_BYTES_MAX], decoded[AUTH_BAD_UTF8_MAX];
	size_t len = 0, new_n = *n;

	/* Java hashes the characters it decoded, not the bytes that came. */
	if (data.p && !utf8_valid(data)) {
		size_t k = utf8_java(data, decoded, sizeof(decoded));

		data = k ? zk_span_of(decoded, k) : (struct zk_span){NULL, 0};
	}
	if (data.p)
		len = digest_id(conf, data, text, sizeof(text));
	if (len == 0)
		return ZK_AUTHFAILED;

	struct zk_span id = zk_span_of(text, len);

	if (conf->super_digest[0] && is(id, conf->super_digest) &&
	    !ids_append(ids, &new_n, zk_span_str("super"), zk_span_str("")))
		return ZK_AUTHFAILED;
	if (!ids_append(ids, &new_n, zk_span_str("digest"), id)) {
		/* Take nothing on failure: put the count back. */
		if (new_n != *n)
			zk_put32(ids, zk_get32(ids) - 1);
		return ZK_AUTHFAILED;
	}
	*n = new_n;
	return ZK_EOK;
}

enum zk_err auth_add(const struct auth_conf *conf, struct zk_span scheme, struct zk_span data,
		     uint8_t *ids, size_t *n)
{
	if (is(scheme, "ip")) /* the address is there since the connection was accepted */
		return ZK_EOK;
	if (is(scheme, "digest"))
		return add_digest(conf, data, ids, n);
	return ZK_AUTHFAILED;
}

/* Is one of @p ids what the ACL entry {scheme, id} names? */
static bool entry_matches(struct zk_span scheme, struct zk_span id, const struct auth_ids *ids)
{
	bool ip = is(scheme, "ip");

	if (!ip && !is(scheme, "digest"))
		return false;
	for (unsigned i = 0; i < ids->n; i++) {
		if (!zk_span_eq(ids->v[i].scheme, scheme))
			continue;
		if (ip ? auth_ip_matches(ids->v[i].id, id) : zk_span_eq(ids->v[i].id, id))
			return true;
	}
	return false;
}

static bool entry_allows(int32_t perms, struct zk_span scheme, struct zk_span id, int32_t perm,
			 const struct auth_ids *ids)
{
	if ((perms & perm) == 0)
		return false;
	return (is(scheme, "world") && is(id, "anyone")) || entry_matches(scheme, id, ids);
}

bool auth_allows(const struct auth_conf *conf, const struct acl_list *acl, int32_t perm,
		 const struct auth_ids *ids)
{
	if (conf->skip_acl || acl->open_all || acl->n == 0 || ids->super)
		return true;
	for (uint32_t i = 0; i < acl->n; i++) {
		if (entry_allows(acl->v[i].perms, acl->v[i].scheme, acl->v[i].id, perm, ids))
			return true;
	}
	return false;
}

bool auth_allows_jute(const struct auth_conf *conf, struct zk_span acl, int32_t perm,
		      const struct auth_ids *ids)
{
	struct jute_in in = jute_in_of(acl);
	bool null;
	int32_t n = jute_count(&in, &null);

	if (conf->skip_acl || n == 0 || ids->super)
		return true;
	for (int32_t i = 0; i < n; i++) {
		int32_t perms = jute_i32(&in);
		struct zk_span scheme = jute_bytes(&in), id = jute_bytes(&in);

		zk_assert(!in.bad); /* only vectors that auth_fixup() wrote come here */
		if (entry_allows(perms, scheme, id, perm, ids))
			return true;
	}
	return false;
}

/* Exactly two parts under Java's split(":"), which drops empty parts at the end. */
static bool digest_valid(struct zk_span id)
{
	size_t n = id.n, colons = 0;

	while (n && id.p[n - 1] == ':')
		n--;
	for (size_t i = 0; i < n; i++)
		colons += id.p[i] == ':';
	return colons == 1;
}

static void put_entry(struct jute_out *out, int32_t perms, struct zk_span scheme, struct zk_span id)
{
	jute_put_i32(out, perms);
	jute_put_bytes(out, scheme);
	jute_put_bytes(out, id);
}

enum { ENTRY_INVALID = 0, ENTRY_NULL = -1 };

/* One entry of the request into @p out. Returns how many were written, or what is wrong: a null id
 * of a scheme that looks at it is a null pointer in Apache. */
static int32_t fix_entry(int32_t perms, struct zk_span scheme, struct zk_span id,
			 const struct auth_ids *ids, struct jute_out *out)
{
	int32_t n = 0;

	if (!scheme.p)
		return ENTRY_INVALID;
	if (is(scheme, "auth")) {
		/* Identities of authenticated providers only: neither ip nor super. */
		for (unsigned i = 0; i < ids->n; i++) {
			if (is(ids->v[i].scheme, "ip") || is(ids->v[i].scheme, "super"))
				continue;
			put_entry(out, perms, ids->v[i].scheme, ids->v[i].id);
			n++;
		}
		return n;
	}
	if (!id.p)
		return is(scheme, "world") || is(scheme, "digest") || is(scheme, "ip")
			       ? ENTRY_NULL
			       : ENTRY_INVALID;
	if (!((is(scheme, "world") && is(id, "anyone")) ||
	      (is(scheme, "digest") && digest_valid(id)) ||
	      (is(scheme, "ip") && auth_ip_valid(id))))
		return ENTRY_INVALID;
	put_entry(out, perms, scheme, id);
	return 1;
}

struct raw_entry {
	const uint8_t *p;
	uint32_t n;
};

enum zk_err auth_fixup(const struct auth_conf *conf, struct jute_in *in, const struct auth_ids *ids,
		       uint8_t *out, size_t cap, size_t *n)
{
	struct raw_entry seen[ACL_ENTRIES_MAX];
	struct jute_out o = jute_out_of(out, cap);
	bool null;
	int32_t count = jute_count(in, &null), written = 0, unique = 0;

	(void)conf;
	if (in->bad)
		return ZK_MARSHALLINGERROR;
	if (count == 0 || count > ACL_ENTRIES_MAX)
		return ZK_INVALIDACL;
	jute_put_i32(&o, 0);
	for (int32_t i = 0; i < count; i++) {
		const uint8_t *start = in->p;
		int32_t perms = jute_i32(in);
		struct zk_span scheme = jute_bytes(in), id = jute_bytes(in);
		struct raw_entry e = {start, (uint32_t)(in->p - start)};
		bool known = false;

		if (in->bad)
			return ZK_MARSHALLINGERROR;
		/* Equal perms, scheme and id are equal bytes, nulls included. */
		for (int32_t k = 0; k < unique && !known; k++)
			known = seen[k].n == e.n && memcmp(seen[k].p, e.p, e.n) == 0;
		if (known)
			continue;
		seen[unique++] = e;
		int32_t k = fix_entry(perms, scheme, id, ids, &o);

		if (k <= 0)
			return k == ENTRY_NULL ? ZK_MARSHALLINGERROR : ZK_INVALIDACL;
		written += k;
	}
	if (o.full)
		return ZK_ETOOBIG;
	zk_put32(out, (uint32_t)written);
	*n = jute_out_len(&o);
	return ZK_EOK;
}
