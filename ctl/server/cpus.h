/* SPDX-License-Identifier: Apache-2.0 */
/** The CPUs a process may use; handed to the configuration's reader, so that a test can make up a
 * machine. */
#ifndef ZK_CTL_CPUS_H
#define ZK_CTL_CPUS_H

#include <stdint.h>

enum { CONFIG_CPUS_MAX = 1024 };

struct config_cpus {
	unsigned n;
	uint16_t cpu[CONFIG_CPUS_MAX]; /* ascending */
};

/** The CPUs in this process's affinity mask; never none. */
void config_cpus_get(struct config_cpus *out);

#endif
