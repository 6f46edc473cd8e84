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
.PHONY: bench-log bench-log-profile
bench-log: $(BUILD)/bench/log_bench
	@$< $(LOG_DIR) $(ARGS)
# Where its CPU time goes, with transactions of 100 bytes.
bench-log-profile: $(BUILD)/bench/log_bench
	@perf record -q -e cpu-clock -F 1999 -o $(BUILD)/log_bench.perf $< $(LOG_DIR) 0 256 3 100
	@for by in dso dso,sym; do echo "zk-log by $$by:"; \
		perf report -i $(BUILD)/log_bench.perf --stdio --no-children --comm zk-log --sort $$by \
			--percentage relative --percent-limit 1 2>/dev/null | grep -v '^\(#\|$$\)'; done
	@rm -f $(BUILD)/log_bench.perf
