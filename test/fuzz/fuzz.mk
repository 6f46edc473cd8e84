# SPDX-License-Identifier: Apache-2.0
# `make fuzz T=60`: every test/fuzz/fuzz_NAME.c is a libFuzzer program over the pure sources
# (core, dp/net, test/lib). Seeds come from test/fuzz/corpus/NAME; what a run finds goes to
# build/fuzz. FUZZ=NAME runs one of them. A crash, a leak or a time-out fails the target.

T ?= 60
FUZZ ?= $(patsubst test/fuzz/fuzz_%.c,%,$(sort $(wildcard test/fuzz/fuzz_*.c)))
FUZZ_CC ?= clang
FUZZ_DIR := build/fuzz
FUZZ_SAN := address,undefined
FUZZ_CFLAGS := -std=c11 -O1 -g -march=$(ARCH) -Wall -fno-common -fno-strict-aliasing \
	-fno-omit-frame-pointer -fsanitize=fuzzer-no-link,$(FUZZ_SAN) -fno-sanitize-recover=all
FUZZ_CPPFLAGS := -I. -D_GNU_SOURCE
FUZZ_LIB_OBJ := $(patsubst %.c,$(FUZZ_DIR)/obj/%.o,$(CORE_SRC) $(NET_SRC) $(TESTLIB_SRC))
FUZZ_BIN := $(patsubst %,$(FUZZ_DIR)/fuzz_%,$(FUZZ))

$(FUZZ_DIR)/obj/%.o: %.c test/fuzz/fuzz.mk
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_CPPFLAGS) $(FUZZ_CFLAGS) -MMD -MP -c $< -o $@

$(FUZZ_DIR)/libpure.a: $(FUZZ_LIB_OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(FUZZ_DIR)/fuzz_%: $(FUZZ_DIR)/obj/test/fuzz/fuzz_%.o $(FUZZ_DIR)/libpure.a
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer,$(FUZZ_SAN) $^ -lurcu-qsbr -lcrypto -ldeflate -lz -lpthread -o $@

.SECONDARY: $(patsubst %,$(FUZZ_DIR)/obj/test/fuzz/fuzz_%.o,$(FUZZ))

.PHONY: fuzz fuzz-bin
fuzz-bin: $(FUZZ_BIN)

fuzz: $(FUZZ_BIN)
	@passed=0; failed=0; \
	for name in $(FUZZ); do \
		mkdir -p $(FUZZ_DIR)/corpus/$$name test/fuzz/corpus/$$name; \
		echo "fuzz $$name: $(T) s"; \
		if $(FUZZ_DIR)/fuzz_$$name -max_total_time=$(T) -timeout=20 -rss_limit_mb=2048 \
			-max_len=4096 -verbosity=1 -print_final_stats=1 -reload=0 \
			-artifact_prefix=$(FUZZ_DIR)/$$name- $(FUZZ_DIR)/corpus/$$name \
			test/fuzz/corpus/$$name >$(FUZZ_DIR)/$$name.log 2>&1; \
		then passed=$$((passed + 1)); \
			grep -E 'number_of_executed_units|average_exec_per_sec' $(FUZZ_DIR)/$$name.log; \
		else failed=$$((failed + 1)); tail -n 60 $(FUZZ_DIR)/$$name.log; fi; \
	done; \
	echo "$$passed passed, $$failed failed"; [ $$failed -eq 0 ] && [ $$passed -gt 0 ]

-include $(shell find $(FUZZ_DIR)/obj -name '*.d' 2>/dev/null)
