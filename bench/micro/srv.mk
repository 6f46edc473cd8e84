# SPDX-License-Identifier: Apache-2.0
# `make bench-srv`: cost of core/server alone, in nanoseconds per request.

$(BUILD)/bench/srv_bench: $(BUILD)/obj/bench/micro/srv_bench.o $(call lib,core)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -lurcu-qsbr -lcrypto -lpthread -o $@

.PHONY: bench-srv
bench-srv: $(BUILD)/bench/srv_bench
	$< 1000
	$< 1000000
