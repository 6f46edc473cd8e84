# SPDX-License-Identifier: Apache-2.0
# The files of core/store against those of Debian's Apache ZooKeeper.

$(BUILD)/test/store/rewrite: $(BUILD)/obj/test/store/rewrite.o $(call lib,core)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -ldeflate -o $@

.PHONY: test-store
test-store: $(BUILD)/test/store/rewrite $(BUILD)/zokorctl $(BUILD)/zokord
	@BUILD=$(BUILD) test/store/store.sh

.PHONY: test-snapshot
test-snapshot: all
	@BUILD=$(BUILD) test/store/snapshot.sh

$(BUILD)/test/store/big: $(BUILD)/obj/test/store/big.o $(call lib,core)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -ldeflate -o $@

# Seconds to serve after a start on 2,000,000 znodes, beside Apache's.
.PHONY: bench-restart
bench-restart: $(BUILD)/test/store/big $(BUILD)/zokord
	@BUILD=$(BUILD) bench/restart.sh
