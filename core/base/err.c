/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/err.h"

const char *zk_err_text(enum zk_err err)
{
	switch (err) {
#define ZK_ERR_TEXT(name, value, text)                                                             \
	case name:                                                                                 \
		return text;
		ZK_ERR_MAP(ZK_ERR_TEXT)
#undef ZK_ERR_TEXT
	}
	return "unknown";
}
