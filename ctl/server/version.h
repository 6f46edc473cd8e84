/* SPDX-License-Identifier: Apache-2.0 */
/** What this server calls itself. */
#ifndef ZK_CTL_VERSION_H
#define ZK_CTL_VERSION_H

#define ZOKOR_VERSION "0.1.0"
/* As `srvr` prints it: tools read the release of ZooKeeper that we behave like from the front. */
#define ZOKOR_ZOOKEEPER_VERSION "3.9.2-zokor-" ZOKOR_VERSION
/* By hand, so that a build is reproducible. */
#define ZOKOR_BUILT "2026-11-21 00:00 UTC"

#endif
