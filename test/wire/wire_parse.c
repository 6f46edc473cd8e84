/* SPDX-License-Identifier: Apache-2.0 */
#include "test/wire/wire.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void wire_split(char *line, struct wire_words *v)
{
	char *save = NULL;
	char *hash = strchr(line, '#');

	if (hash)
		*hash = 0;
	v->n = v->next = 0;
	for (char *t = strtok_r(line, " \t\r\n", &save); t && v->n < WIRE_WORDS_MAX;
	     t = strtok_r(NULL, " \t\r\n", &save))
		v->w[v->n++] = t;
}

const char *wire_word(struct wire_words *v)
{
	return v->next < v->n ? v->w[v->next++] : NULL;
}

const char *wire_peek_word(const struct wire_words *v)
{
	return v->next < v->n ? v->w[v->next] : NULL;
}

static long atom(struct wire *w, const char **s, const char *whole)
{
	char *end;
	long v;

	if (**s == 'i') {
		(*s)++;
		return w->iteration;
	}
	if (!isdigit((unsigned char)**s)) {
		wire_fail(w, "not a number: '%s'", whole);
		return 0;
	}
	v = strtol(*s, &end, 0);
	*s = end;
	return v;
}

static long product(struct wire *w, const char **s, const char *whole)
{
	long v = atom(w, s, whole);

	while (**s == '*' && !w->failed) {
		(*s)++;
		v *= atom(w, s, whole);
	}
	return v;
}

long wire_number(struct wire *w, const char *text)
{
	const char *s = text;
	long v;

	if (!text) {
		wire_fail(w, "a number is missing");
		return 0;
	}
	if (*s == '-') {
		s++;
		v = -product(w, &s, text);
	} else {
		v = product(w, &s, text);
	}
	while ((*s == '+' || *s == '-') && !w->failed) {
		bool minus = *s++ == '-';
		long term = product(w, &s, text);

		v = minus ? v - term : v + term;
	}
	if (*s)
		wire_fail(w, "not a number: '%s'", text);
	return v;
}

uint64_t wire_duration_ns(struct wire *w, const char *text)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} UNITS[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
	char *end;
	long v;

	if (!text) {
		wire_fail(w, "a duration is missing");
		return 0;
	}
	v = strtol(text, &end, 10);
	for (size_t i = 0; end != text && v >= 0 && i < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
		if (strcmp(end, UNITS[i].unit) == 0)
			return (uint64_t)v * UNITS[i].ns;
	}
	wire_fail(w, "not a duration: '%s'", text);
	return 0;
}

uint8_t wire_flags(struct wire *w, const char *text)
{
	static const char NAMES[] = "FSRPAUEC";
	uint8_t flags = 0;

	if (!text) {
		wire_fail(w, "flags are missing");
		return 0;
	}
	if (strcmp(text, "-") == 0)
		return 0;
	for (const char *s = text; *s; s++) {
		const char *at = strchr(NAMES, *s);

		if (!at) {
			wire_fail(w, "no such flags: '%s'", text);
			return 0;
		}
		flags = (uint8_t)(flags | 1u << (at - NAMES));
	}
	return flags;
}

unsigned wire_events(struct wire *w, struct wire_words *v)
{
	static const struct {
		const char *name;
		unsigned bit;
	} EVENTS[] = {{"OPEN", TCP_READY_OPEN},
		      {"READ", TCP_READY_READ},
		      {"WRITE", TCP_READY_WRITE},
		      {"FIN", TCP_READY_FIN},
		      {"CLOSED", TCP_READY_CLOSED}};
	unsigned set = 0;
	const char *name;

	while ((name = wire_word(v))) {
		size_t i;

		for (i = 0; i < sizeof(EVENTS) / sizeof(EVENTS[0]); i++) {
			if (strcmp(name, EVENTS[i].name) == 0)
				break;
		}
		if (i == sizeof(EVENTS) / sizeof(EVENTS[0])) {
			wire_fail(w, "no such event: '%s'", name);
			return 0;
		}
		set |= EVENTS[i].bit;
	}
	return set;
}

bool wire_compare(struct wire *w, const char *text, long value)
{
	if (!text) {
		wire_fail(w, "a number is missing");
		return false;
	}
	if (strcmp(text, "any") == 0)
		return true;
	if (strncmp(text, ">=", 2) == 0)
		return value >= wire_number(w, text + 2);
	if (strncmp(text, "<=", 2) == 0)
		return value <= wire_number(w, text + 2);
	if (*text == '>')
		return value > wire_number(w, text + 1);
	if (*text == '<')
		return value < wire_number(w, text + 1);
	return value == wire_number(w, text);
}
