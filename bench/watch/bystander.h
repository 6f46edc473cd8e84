/* SPDX-License-Identifier: Apache-2.0 */
/** A process of its own with one connection that reads all along: how long does it wait while the
 * server is busy with others? Of bench-watch. */
#ifndef BENCH_WATCH_BYSTANDER_H
#define BENCH_WATCH_BYSTANDER_H

#include <stdint.h>

struct bystander;

struct bystander_figures {
	uint64_t reads, p50_ns, p99_ns, max_ns;
};

/** Start it; it ends with its parent. */
struct bystander *bystander_start(const char *host, uint16_t port);
/** From now on a new phase is measured. */
void bystander_begin(struct bystander *b);
/** The phase is over. */
struct bystander_figures bystander_end(struct bystander *b);
void bystander_stop(struct bystander *b);

#endif
