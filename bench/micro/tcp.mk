# SPDX-License-Identifier: Apache-2.0
# `make bench-tcp`: cost of the TCP stack alone, in nanoseconds per request.

$(BUILD)/bench/tcp_bench: $(BUILD)/obj/bench/micro/tcp_bench.o $(call obj,test/lib/pkt_heap.c) \
		$(call lib,net) $(call lib,core)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -Wl,--start-group $^ -Wl,--end-group -lurcu-qsbr -lcrypto -lpthread -o $@

.PHONY: bench-tcp
bench-tcp: $(BUILD)/bench/tcp_bench
	$< 64
	$< 1000
