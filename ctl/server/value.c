/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool digits(const char **p, unsigned base, uint64_t *out)
{
	const char *start = *p;
	uint64_t v = 0;

	for (;; (*p)++) {
		char c = **p;
		unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
			     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
			     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
						    : 16;

		if (d >= base)
			break;
		if (v > (UINT64_MAX >> 5) / base)
			return false;
		v = v * base + d;
	}
	*out = v;
	return *p != start;
}

static const char *int_of_base(const char *text, unsigned base, int64_t min, int64_t max, bool neg,
			       int64_t *out)
{
	const char *p = text;
	uint64_t v;
	int64_t s;

	if (!digits(&p, base, &v) || *p)
		return "is not a number";
	s = neg ? -(int64_t)v : (int64_t)v;
	if (s < min)
		return "is too small";
	if (s > max)
		return "is too large";
	*out = s;
	return NULL;
}

const char *value_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
	bool neg = *text == '-';

	if (*text == '-' || *text == '+')
		text++;
	return int_of_base(text, 10, min, max, neg, out);
}

const char *value_java_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
	bool neg = *text == '-';
	unsigned base = 10;

	if (*text == '-' || *text == '+')
		text++;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	} else if (text[0] == '#') {
		base = 16;
		text++;
	} else if (text[0] == '0' && text[1]) {
		base = 8;
		text++;
	}
	return int_of_base(text, base, min, max, neg, out);
}

const char *value_bool(const char *text, bool *out)
{
	if (strcasecmp(text, "true") == 0)
		*out = true;
	else if (strcasecmp(text, "false") == 0)
		*out = false;
	else
		return "must be true or false";
	return NULL;
}

const char *value_share(const char *text, uint32_t *billionths)
{
	static const uint64_t one = 1000000000;
	uint64_t whole = 0, part = 0, unit = one / 10;
	const char *p = text;
	bool any = digits(&p, 10, &whole);

	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10) {
			part += (uint64_t)(*p - '0') * unit;
			any = true;
		}
	}
	if (!any || *p)
		return "is not a number like 0.02";
	if (whole > 1 || whole * one + part > one)
		return "is more than 1";
	*billionths = (uint32_t)(whole * one + part);
	return NULL;
}

/* One dotted quad at *p. */
static bool quad(const char **p, uint32_t *out)
{
	uint32_t ip = 0;

	for (int i = 0; i < 4; i++) {
		const char *start = *p;
		uint64_t v;

		if (i > 0) {
			if (**p != '.')
				return false;
			start = ++*p;
		}
		if (!digits(p, 10, &v) || v > 255 || *p - start > 3)
			return false;
		ip = ip << 8 | (uint32_t)v;
	}
	*out = ip;
	return true;
}

const char *value_ipv4(const char *text, uint32_t *out)
{
	const char *p = text;
	uint32_t ip;

	if (!quad(&p, &ip) || *p)
		return "is not an IPv4 address like 127.181.0.1";
	*out = ip;
	return NULL;
}

const char *value_cidr(const char *text, uint32_t *ip, uint8_t *prefix)
{
	static const char *const form = "is not an address with prefix length like 127.181.0.1/24";
	const char *p = text;
	uint64_t bits;
	uint32_t a;

	if (!quad(&p, &a) || *p++ != '/' || !digits(&p, 10, &bits) || *p)
		return form;
	if (bits < 1 || bits > 32)
		return "has a prefix length that is not between 1 and 32";
	if (a == 0 || a >> 28 >= 14)
		return "is not a unicast address";
	if (bits < 31 && (a << bits == 0 || a << bits == (uint32_t)(~0u << bits)))
		return "is the network's own or broadcast address";
	*ip = a;
	*prefix = (uint8_t)bits;
	return NULL;
}

const char *value_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *p = text, *u;
	unsigned shift = 0;
	uint64_t v;

	if (!digits(&p, 10, &v))
		return "is not a size like 8G";
	if (*p) {
		u = strchr(units, toupper((unsigned char)*p));
		if (!u || p[1])
			return "is not a size like 8G (K, M, G or T)";
		shift = 10 * (unsigned)(u - units + 1);
	}
	if (v > (UINT64_MAX >> 8) >> shift)
		return "is too large";
	*out = v << shift;
	return NULL;
}

const char *value_mac(const char *text, uint8_t out[6])
{
	static const char *const form = "is not a MAC address like 02:00:00:00:00:01";
	uint8_t mac[6], all = 0;
	const char *p = text;

	for (int i = 0; i < 6; i++) {
		const char *start;
		uint64_t v;

		if (i > 0 && *p++ != ':')
			return form;
		start = p;
		if (!digits(&p, 16, &v) || p - start != 2)
			return form;
		mac[i] = (uint8_t)v;
		all |= mac[i];
	}
	if (*p)
		return form;
	if ((mac[0] & 1) || all == 0)
		return "is not a unicast MAC address";
	memcpy(out, mac, sizeof(mac));
	return NULL;
}

const char *value_cpus(const char *text, uint16_t out[VALUE_CPUS_MAX], unsigned *n)
{
	const char *p = text;
	unsigned count = 0;

	for (;;) {
		uint64_t v;

		while (*p == ' ')
			p++;
		if (!digits(&p, 10, &v) || v > UINT16_MAX)
			return "is not a list of CPU numbers like 1,2,3";
		if (count == VALUE_CPUS_MAX)
			return "names too many CPUs";
		out[count++] = (uint16_t)v;
		while (*p == ' ')
			p++;
		if (!*p)
			break;
		if (*p++ != ',')
			return "is not a list of CPU numbers like 1,2,3";
	}
	*n = count;
	return NULL;
}

const char *value_host(const char *text, uint32_t *out)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	int rc;

	*out = 0;
	if (!value_ipv4(text, out))
		return NULL;
	rc = getaddrinfo(text, NULL, &hints, &found);
	if (rc != 0)
		return gai_strerror(rc);
	*out = ntohl(((const struct sockaddr_in *)(const void *)found->ai_addr)->sin_addr.s_addr);
	freeaddrinfo(found);
	return NULL;
}
