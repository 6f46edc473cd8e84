# SPDX-License-Identifier: Apache-2.0
$(BUILD)/test/unit/port/steer_prog_test: $(call obj,dp/port/steer_prog.c)
# Without DPDK's libraries: the device is the test's own.
$(BUILD)/test/unit/port/steer_flow_test: $(call obj,dp/port/steer_flow.c dp/port/flow_rule.c)
$(BUILD)/obj/test/unit/port/steer_flow_test.o: CPPFLAGS += -isystem /usr/include/dpdk $(DPDK_CFLAGS)
