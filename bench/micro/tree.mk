# SPDX-License-Identifier: Apache-2.0
# `make bench-tree`: cost of a lookup in core/tree alone, in nanoseconds.

$(BUILD)/bench/tree_bench: $(BUILD)/obj/bench/micro/tree_bench.o $(call lib,core)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@

.PHONY: bench-tree
bench-tree: $(BUILD)/bench/tree_bench
	$< 10000
	$< 1000000
