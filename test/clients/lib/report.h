/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of a test program: each one ends as a line "ok NAME" or "FAIL NAME: reason". */
#ifndef REPORT_H
#define REPORT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int report_failures;

__attribute__((format(printf, 1, 2))) static inline void report_ok(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("ok ");
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
}

__attribute__((format(printf, 1, 2))) static inline void report_fail(const char *format, ...)
{
	va_list args;

	report_failures++;
	va_start(args, format);
	printf("FAIL ");
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
}

static inline const char *report_env(const char *name)
{
	const char *value = getenv(name);

	if (value == NULL || *value == '\0') {
		fprintf(stderr, "the environment has no %s\n", name);
		exit(2);
	}
	return value;
}

#endif
