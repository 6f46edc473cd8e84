# SPDX-License-Identifier: Apache-2.0
# The program of test/net/kernel_peer.sh: dp/net on a real device, kernel sockets on the other end.

$(BUILD)/test/net/tcp_echo: $(BUILD)/obj/test/net/tcp_echo.o $(call lib,net) $(call lib,port) $(call lib,core)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -Wl,--start-group $^ -Wl,--end-group $(DPDK_LIBS) -lmnl -lpthread -o $@

.PHONY: test-kernel-peer
test-kernel-peer: $(BUILD)/test/net/tcp_echo
	test/net/kernel_peer.sh $<

test-net: $(BUILD)/test/net/tcp_echo
