/* SPDX-License-Identifier: Apache-2.0 */
/** Values of configuration keys from text. Pure; each returns NULL with *out written, or a reason
 * in static text with *out untouched. Any context. */
#ifndef ZK_CTL_VALUE_H
#define ZK_CTL_VALUE_H

#include <stdbool.h>
#include <stdint.h>

enum { VALUE_CPUS_MAX = 64 };

/** Decimal within [@p min, @p max]. */
const char *value_int(const char *text, int64_t min, int64_t max, int64_t *out);
/** As Java's Integer.decode(): also 0x.., #.. and 0.. (octal). */
const char *value_java_int(const char *text, int64_t min, int64_t max, int64_t *out);
/** true or false in any case, as QuorumPeerConfig.parseBoolean(). */
const char *value_bool(const char *text, bool *out);
/** Dotted quad, host byte order. */
const char *value_ipv4(const char *text, uint32_t *out);
/** ... or a host name that is looked up, which may block. On failure *out is 0. */
const char *value_host(const char *text, uint32_t *out);
/** Between 0 and 1, in billionths; what is finer is cut off. */
const char *value_share(const char *text, uint32_t *billionths);
/** "127.181.0.1/24". */
const char *value_cidr(const char *text, uint32_t *ip, uint8_t *prefix);
/** Bytes with an optional K, M, G or T. */
const char *value_size(const char *text, uint64_t *out);
/** "02:00:00:00:00:01": unicast, not zero. */
const char *value_mac(const char *text, uint8_t out[6]);
/** "0,1,0,1": at most VALUE_CPUS_MAX. */
const char *value_cpus(const char *text, uint16_t out[VALUE_CPUS_MAX], unsigned *n);

#endif
