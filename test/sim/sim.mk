# SPDX-License-Identifier: Apache-2.0
# The ensemble's simulator runs the client core and the quorum's stack of dp/loop on devices of its own, and says what
# time of day it is.
SIM_LOOP_SRC := $(wildcard dp/loop/client*.c dp/loop/peer*.c dp/loop/pace.c dp/loop/waker.c) \
	dp/eal/pages.c dp/eal/hugepages.c ctl/server/quorum_reading.c
SIM_BIN := $(patsubst test/%.c,$(BUILD)/test/%,$(wildcard test/sim/*_test.c))
$(SIM_BIN): $(call obj,$(SIM_LOOP_SRC))
$(SIM_BIN): private LDFLAGS += -Wl,--wrap=clock_gettime
