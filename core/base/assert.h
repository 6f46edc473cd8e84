/* SPDX-License-Identifier: Apache-2.0 */
/** Assertions: kept in every build. A programmer's error stops the process at once. */
#ifndef ZK_BASE_ASSERT_H
#define ZK_BASE_ASSERT_H

/** Print the place and the expression on standard error and abort. Any context. */
_Noreturn void zk_assert_fail(const char *expr, const char *file, int line);

#define zk_assert(e) (__builtin_expect(!(e), 0) ? zk_assert_fail(#e, __FILE__, __LINE__) : (void)0)

#define zk_likely(e)                       __builtin_expect(!!(e), 1)
#define zk_unlikely(e)                     __builtin_expect(!!(e), 0)
#define ZK_CACHE_LINE                      64
#define zk_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
