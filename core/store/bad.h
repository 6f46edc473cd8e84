/* SPDX-License-Identifier: Apache-2.0 */
/** What can be wrong with a file. */
#ifndef ZK_STORE_BAD_H
#define ZK_STORE_BAD_H

#define STORE_BAD_MAP(X)                                                                           \
	X(STORE_GOOD, "good")                                                                      \
	X(STORE_BAD_EMPTY, "the file is empty")                                                    \
	X(STORE_BAD_HEADER, "the file header is incomplete")                                       \
	X(STORE_BAD_MAGIC, "wrong magic number")                                                   \
	X(STORE_BAD_LENGTH, "unreasonable length")                                                 \
	X(STORE_BAD_COUNT, "negative count")                                                       \
	X(STORE_BAD_SUM, "checksum mismatch")                                                      \
	X(STORE_BAD_TXN, "not a transaction")                                                      \
	X(STORE_BAD_TYPE, "unknown transaction type")                                              \
	X(STORE_BAD_END, "the file ends too early")                                                \
	X(STORE_BAD_SEAL, "no seal where one must be")                                             \
	X(STORE_BAD_PATH, "not a path")                                                            \
	X(STORE_BAD_VERSION, "unknown version")

enum store_bad {
#define STORE_BAD_ENUM(name, text) name,
	STORE_BAD_MAP(STORE_BAD_ENUM)
#undef STORE_BAD_ENUM
};

/** The text of a verdict. Static storage, any context. */
const char *store_bad_text(enum store_bad bad);

#endif
