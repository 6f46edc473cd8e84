/* SPDX-License-Identifier: Apache-2.0 */
/* What dp.device may say. */
#include "dp/port/port.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *prefix;
	enum port_kind kind;
} kinds[] = {
	{"tap:", PORT_TAP},       {"af_packet:", PORT_AF_PACKET},
	{"af_xdp:", PORT_AF_XDP}, {"memif:", PORT_MEMIF},
	{"pci:", PORT_PCI},
};

enum { IF_NAME_MAX = 15, UNIX_PATH_MAX_BYTES = 107 };

static enum zk_err bad(char *why, const char *text, const char *reason)
{
	snprintf(why, PORT_ERR_TEXT_MAX, "device \"%.100s\": %s", text, reason);
	return ZK_EINVAL;
}

/* Letters that would end or split the driver's argument list. */
static bool plain(const char *s)
{
	for (; *s; s++) {
		if (!isgraph((unsigned char)*s) || strchr(",=[]\"'", *s))
			return false;
	}
	return true;
}

static enum zk_err memif_role(const char *text, struct port_spec *s, char *why)
{
	char *comma = strrchr(s->name, ',');

	if (!comma)
		return ZK_EOK;
	if (strcmp(comma, ",client") == 0)
		s->memif_client = true;
	else if (strcmp(comma, ",server") != 0)
		return bad(why, text, "after the socket only ,server or ,client may follow");
	*comma = 0;
	return ZK_EOK;
}

static enum zk_err name_check(const char *text, const struct port_spec *s, char *why)
{
	size_t n = strlen(s->name);

	if (n == 0)
		return bad(why, text, "a name must follow the colon");
	if (!plain(s->name))
		return bad(why, text, "blanks, commas, quotes, = and brackets are not allowed");
	switch (s->kind) {
	case PORT_TAP:
	case PORT_AF_PACKET:
	case PORT_AF_XDP:
		if (n > IF_NAME_MAX || strchr(s->name, '/') || strchr(s->name, ':') ||
		    strchr(s->name, '%'))
			return bad(why, text,
				   "an interface name has at most 15 letters, none of / : %");
		break;
	case PORT_MEMIF:
		if (s->name[0] != '/' || n > UNIX_PATH_MAX_BYTES)
			return bad(why, text,
				   "a socket path starts with / and has at most 107 letters");
		break;
	case PORT_PCI:
		if (n > 60)
			return bad(why, text, "a device address has at most 60 letters");
		break;
	}
	return ZK_EOK;
}

enum zk_err port_spec_parse(const char *text, struct port_spec *spec, char *why)
{
	struct port_spec s = {.kind = PORT_TAP};
	enum zk_err err;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i].prefix);

		if (strncmp(text, kinds[i].prefix, n) != 0)
			continue;
		if (strlen(text + n) >= sizeof(s.name))
			return bad(why, text, "the name is too long");
		s.kind = kinds[i].kind;
		snprintf(s.name, sizeof(s.name), "%s", text + n);
		if (s.kind == PORT_MEMIF) {
			err = memif_role(text, &s, why);
			if (err)
				return err;
		}
		err = name_check(text, &s, why);
		if (err)
			return err;
		*spec = s;
		return ZK_EOK;
	}
	return bad(why, text, "must start with tap:, af_packet:, af_xdp:, memif: or pci:");
}
