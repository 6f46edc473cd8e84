# SPDX-License-Identifier: Apache-2.0
# `make bench-snapshot`: how long do clients wait while 2,000,000 nodes go into a snapshot?

$(BUILD)/bench/sock_load: $(BUILD)/obj/bench/micro/sock_load.o $(call lib,core)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@

.PHONY: bench-snapshot
bench-snapshot: all $(BUILD)/bench/sock_load
	@BUILD=$(BUILD) bench/snapshot.sh $(ARGS)
