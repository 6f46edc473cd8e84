/* SPDX-License-Identifier: Apache-2.0 */
/** The lines of the four-letter word `envi` (org.apache.zookeeper.Environment). */
#ifndef ZK_CTL_ENVIRONMENT_H
#define ZK_CTL_ENVIRONMENT_H

#include <stddef.h>

/** Write "key=value\n" lines, as far as they fit, and a 0. What only a Java machine has is "<NA>".
 * Main thread, before the cores start. */
void environment_text(char *out, size_t cap);

#endif
