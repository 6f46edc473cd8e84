# SPDX-License-Identifier: Apache-2.0
# `make bench-log`: the log writer beside the limits of its disk. LOG_DIR: where (the build folder).

LOG_BENCH_OBJ := ctl/server/logwriter.c ctl/server/disk.c ctl/server/helper.c ctl/server/log.c \
	ctl/server/cpus.c \
	dp/loop/logstage.c dp/loop/waker.c

$(BUILD)/bench/log_bench: $(BUILD)/obj/bench/micro/log_bench.o \
		$(BUILD)/obj/bench/micro/log_limit.o $(call obj,$(LOG_BENCH_OBJ)) $(call lib,core)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -luring -lurcu-qsbr -lcrypto -ldeflate -lz -lpthread -o $@

LOG_DIR ?= $(BUILD)
.PHONY: bench-log
bench-log: $(BUILD)/bench/log_bench
	@$< $(LOG_DIR) $(ARGS)
