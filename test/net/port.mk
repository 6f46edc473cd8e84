# SPDX-License-Identifier: Apache-2.0
# The device tests drive dp/port without a stack on top.
$(BUILD)/test/net/port_test $(BUILD)/test/net/tap_test: $(BUILD)/test/net/%: $(BUILD)/obj/test/net/%.o $(call lib,port) $(call obj,$(wildcard core/base/*.c))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -Wl,--start-group $^ -Wl,--end-group $(DPDK_LIBS) -lmnl -lpthread -o $@

test-net: $(BUILD)/test/net/port_test $(BUILD)/test/net/tap_test
