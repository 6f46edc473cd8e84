# SPDX-License-Identifier: Apache-2.0
# The program of test/net/peer.sh: a server's loop with the network of the quorum.
$(BUILD)/test/net/peer_loop: $(BUILD)/obj/test/net/peer_loop.o $(call lib,loop) $(call lib,net) $(call lib,port) $(call lib,core)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -Wl,--start-group $^ -Wl,--end-group $(DPDK_LIBS) $(URCU_LIBS) -lmnl -lcrypto -ldeflate -lpthread -o $@

test-net: $(BUILD)/test/net/peer_loop
