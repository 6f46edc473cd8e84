/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/key.h"
#include "ctl/server/value.h"

#include <string.h>
#include <strings.h>

const char *key_u32(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_int(value, k->min, k->max, &v);

	if (!why)
		*(uint32_t *)KEY_FIELD(x, k) = (uint32_t)v;
	return why;
}

/* Long.getLong() */
const char *key_java_u64(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, k->min, k->max, &v);

	if (!why)
		*(uint64_t *)KEY_FIELD(x, k) = (uint64_t)v;
	return why;
}

/* Long.getLong() of a size in KiB, kept in bytes; what is not above zero turns it off. */
const char *key_java_kib(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, k->min, k->max, &v);

	if (!why)
		*(uint64_t *)KEY_FIELD(x, k) = v > 0 ? (uint64_t)v << 10 : 0;
	return why;
}

/* Integer.getInteger() */
const char *key_java_u32(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, k->min, k->max, &v);

	if (!why)
		*(uint32_t *)KEY_FIELD(x, k) = (uint32_t)v;
	return why;
}

/* Integer.getInteger() */
const char *key_java_i32(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, k->min, k->max, &v);

	if (!why)
		*(int32_t *)KEY_FIELD(x, k) = (int32_t)v;
	return why;
}

/* Integer.getInteger(), where Apache takes every number <= 0 for "off". */
const char *key_java_limit(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, INT32_MIN, INT32_MAX, &v);

	if (!why)
		*(uint32_t *)KEY_FIELD(x, k) = v > 0 ? (uint32_t)v : 0;
	return why;
}

/* Integer.getInteger(), where Apache keeps its default for every number <= 0. */
const char *key_java_positive(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_java_int(value, INT32_MIN, k->max, &v);

	if (!why && v > 0)
		*(uint32_t *)KEY_FIELD(x, k) = (uint32_t)v;
	return why;
}

/* Double.parseDouble() of a share. */
const char *key_share(struct config_ctx *x, const struct key *k, const char *value)
{
	return value_share(value, KEY_FIELD(x, k));
}

/* A limit where Apache takes every number <= 0 for "off". */
const char *key_limit(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_int(value, INT32_MIN, INT32_MAX, &v);

	if (!why)
		*(uint32_t *)KEY_FIELD(x, k) = v > 0 ? (uint32_t)v : 0;
	return why;
}

const char *key_u16(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_int(value, k->min, k->max, &v);

	if (!why)
		*(uint16_t *)KEY_FIELD(x, k) = (uint16_t)v;
	return why;
}

const char *key_string(struct config_ctx *x, const struct key *k, const char *value)
{
	size_t n = strlen(value);

	if (n >= k->size)
		return "is too long";
	if (n == 0 && k->min > 0)
		return "is empty";
	memcpy(KEY_FIELD(x, k), value, n + 1);
	return NULL;
}

/* Boolean.getBoolean(): anything but true is false. */
const char *key_java_bool(struct config_ctx *x, const struct key *k, const char *value)
{
	*(bool *)KEY_FIELD(x, k) = strcasecmp(value, "true") == 0;
	return NULL;
}

/* QuorumPeerConfig.parseBoolean() */
const char *key_bool(struct config_ctx *x, const struct key *k, const char *value)
{
	return value_bool(value, KEY_FIELD(x, k));
}

/* System.getProperty(..).equals("yes") */
const char *key_yes(struct config_ctx *x, const struct key *k, const char *value)
{
	*(bool *)KEY_FIELD(x, k) = strcmp(value, "yes") == 0;
	return NULL;
}

const char *key_ipv4(struct config_ctx *x, const struct key *k, const char *value)
{
	return value_ipv4(value, KEY_FIELD(x, k));
}

const char *key_buffer(struct config_ctx *x, const struct key *k, const char *value)
{
	uint64_t v;
	const char *why = value_size(value, &v);

	if (why)
		return why;
	if (v < (uint64_t)k->min)
		return "is too small";
	if (v > (uint64_t)k->max)
		return "is too large";
	*(uint32_t *)KEY_FIELD(x, k) = (uint32_t)v;
	return NULL;
}

/* Accepted, without effect here; the type is checked as Apache checks it. */
const char *key_skip_any(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)x;
	(void)k;
	(void)value;
	return NULL;
}

const char *key_skip_int(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;

	(void)x;
	(void)k;
	return value_int(value, INT32_MIN, INT32_MAX, &v);
}

const char *key_skip_bool(struct config_ctx *x, const struct key *k, const char *value)
{
	bool v;

	(void)x;
	(void)k;
	return value_bool(value, &v);
}

/* Protection that an operator asks for and would not get: better no server. */
const char *key_refuse_any(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)x;
	(void)k;
	(void)value;
	return "is not served yet";
}

const char *key_refuse_true(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)x;
	(void)k;
	return strcasecmp(value, "true") == 0 ? "is not served yet: must be false" : NULL;
}
