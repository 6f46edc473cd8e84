/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/bad.h"

const char *store_bad_text(enum store_bad bad)
{
	switch (bad) {
#define STORE_BAD_CASE(name, text)                                                                 \
	case name:                                                                                 \
		return text;
		STORE_BAD_MAP(STORE_BAD_CASE)
#undef STORE_BAD_CASE
	}
	return "unknown";
}
