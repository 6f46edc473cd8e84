/* SPDX-License-Identifier: Apache-2.0 */
/** The life of zokord: build everything a configuration asks for, serve until told to stop, take
 * everything down again. */
#ifndef ZK_CTL_SERVER_H
#define ZK_CTL_SERVER_H

#include "ctl/server/config.h"

/** Run. Blocks until SIGTERM or SIGINT, or until the start has failed (one line on standard error
 * says why). Main thread, before any other thread exists. @return the exit code: 0 or 1. */
int server_run(const struct config *conf, const struct config_cpus *cpus);

#endif
