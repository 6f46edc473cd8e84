# SPDX-License-Identifier: Apache-2.0
# `make bench-watch`: a million watches on zokord and on Apache ZooKeeper, over kernel sockets.

WATCH_BENCH_SRC := $(sort $(wildcard bench/watch/*.c))
$(BUILD)/bench/watch_bench: $(call obj,$(WATCH_BENCH_SRC))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@

.PHONY: bench-watch bench-watch-smoke bench-fanout bench-fanout-smoke
bench-watch: $(BUILD)/zokord $(BUILD)/bench/watch_bench
	@bench/watch.sh
# A hundredth of it: does it still run, and is every event there once?
bench-watch-smoke: $(BUILD)/zokord $(BUILD)/bench/watch_bench
	@bench/watch.sh --percent 1 zokor

# Over memif, one server, one client process: no kernel between them.
bench-fanout: all
	@bench/fanout.sh
bench-fanout-smoke: all
	@bench/fanout.sh --watchers 1000 --repeats 2
