# SPDX-License-Identifier: Apache-2.0
# zokor's build. `make help` lists the targets.
#
#   CC=gcc|clang               compiler
#   SAN=address,undefined      sanitizer build, in its own folder
#   SAN=thread

CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
SAN ?=
comma := ,
VARIANT := $(if $(filter-out gcc,$(CC)),-$(notdir $(CC)))$(if $(SAN),-$(subst $(comma),-,$(SAN)))
BUILD ?= build$(if $(VARIANT),/v$(VARIANT))

# V=1 shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '%-4s %s\n' $(1) $(2))

PKG := pkg-config
DPDK_CFLAGS := $(shell $(PKG) --cflags libdpdk 2>/dev/null)
DPDK_LIBS := $(shell $(PKG) --libs libdpdk 2>/dev/null)
URCU_LIBS := $(shell $(PKG) --libs liburcu-qsbr 2>/dev/null)

WARN := -Wall -Wextra -Werror -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wformat=2 -Wundef -Wpointer-arith -Wcast-align -Wwrite-strings
HARDEN := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2 -fcf-protection
OPT ?= -O3 -g -march=$(ARCH)
ARCH ?= x86-64-v2
CPPFLAGS := -I. -D_GNU_SOURCE $(if $(SAN),-U_FORTIFY_SOURCE)
CFLAGS := -std=c11 $(OPT) $(WARN) $(filter-out $(if $(SAN),-D_FORTIFY_SOURCE=2),$(HARDEN)) \
	-fno-common -fno-strict-aliasing -fno-omit-frame-pointer \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack $(if $(SAN),-fsanitize=$(SAN))

# The dependency table: what each archive may see. `make arch` holds the sources and symbols to it.
CORE_SRC := $(sort $(wildcard core/*.c core/*/*.c))
NET_SRC := $(sort $(wildcard dp/net/*.c dp/net/tcp/*.c))
PORT_SRC := $(sort $(wildcard dp/port/*.c dp/eal/*.c dp/tel/*.c))
LOOP_SRC := $(sort $(wildcard dp/loop/*.c))
# ctl/common: what zokord and zokorctl share.
SERVER_SRC := $(sort $(wildcard ctl/server/*.c ctl/common/*.c))
TOOL_SRC := $(sort $(wildcard ctl/tool/*.c ctl/common/*.c))
BENCH_SRC := $(sort $(wildcard bench/*.c))
TESTLIB_SRC := $(sort $(wildcard test/lib/*.c))

LIBS := core net port loop
core_SRC := $(CORE_SRC)
net_SRC := $(NET_SRC)
port_SRC := $(PORT_SRC)
loop_SRC := $(LOOP_SRC)
server_SRC := $(SERVER_SRC)
testlib_SRC := $(TESTLIB_SRC)

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
lib = $(BUILD)/lib$(1).a

PROGRAMS := $(BUILD)/zokord $(BUILD)/zokorctl $(BUILD)/zokor-bench

.PHONY: all
all: $(PROGRAMS)

.PHONY: help
help:
	@echo 'make                 build zokord, zokorctl and zokor-bench into build/'
	@echo 'make run             install what is needed, build, serve on 127.181.0.1:2181 (root)'
	@echo 'make run-ensemble    the same with three servers on 127.181.9.1 to .3 (root)'
	@echo 'make test            everything that CI runs (root)'
	@echo 'make check-fast      unit, wire and a few simulator seeds: under a minute'
	@echo 'make test-net        devices and kernel peers in network namespaces (root)'
	@echo 'make test-clients    unmodified ZooKeeper clients in a network namespace (root)'
	@echo 'make test-diff       the same requests to Apache ZooKeeper and to zokord, answers compared (root)'
	@echo 'make test-crash      kill -9, full and slow disks, files moved between both kinds of server (root)'
	@echo 'make test-ensemble   ensembles of zokord and Apache ZooKeeper: kills, partitions, migration (root)'
	@echo 'make test-ensemble-long, soak-faults    all of it; ten minutes of faults, judged (root)'
	@echo 'make sim SEEDS=n FROM=s    simulators: TCP, log on a failing disk, ensembles'
	@echo 'make sim-ensembles SEEDS=n FROM=s    only the last: core/zab alone, and the whole stack (even seeds over TCP)'
	@echo 'make soak-sim        100,000 seeds of each of these: hours'
	@echo 'make fuzz T=s        every fuzzer for s seconds'
	@echo 'make tsan            core and rings under the thread sanitizer'
	@echo 'make lint arch tidy  style, house plan, repository rules'
	@echo 'make bench           zokord and the load generator over memif on two CPUs (root)'
	@echo 'make bench-watch     a million watches on zokord and on Apache ZooKeeper (root)'
	@echo 'make bench-fanout    100,000 watchers hear of a change; how long another client waits (root)'
	@echo 'make bench-snapshot  longest gap of a client while a snapshot is written (root)'
	@echo 'make bench-failover, bench-ensemble     three servers beside three of Apache: leader killed; throughput (root)'
	@echo 'make bench-observer  writes that three servers keep when an observer is added, beside Apache (root)'
	@echo 'make bench-log       the log writer beside its disk (LOG_DIR)'
	@echo 'make bench-restart   seconds to serve 2,000,000 znodes after a start, beside Apache (root)'
	@echo 'make deps            install the Debian packages that all of this needs (root)'
	@echo 'CC=clang, SAN=address,undefined or SAN=thread select other builds'

# What a build needs, and what the tests need on top of it (Debian 12 names).
DEPS_BUILD := gcc make pkg-config libdpdk-dev liburcu-dev libmnl-dev libssl-dev \
	liburing-dev libdeflate-dev zlib1g-dev libsnappy-dev libjansson-dev
DEPS_TEST := clang clang-format clang-tidy cppcheck shellcheck libclang-rt-14-dev libcmocka-dev binutils \
	iproute2 nftables ethtool iputils-ping procps python3 libcap2-bin util-linux \
	libfuse3-dev fuse3 e2fsprogs

.PHONY: deps deps-build
deps-build:
	@deploy/apt-deps.sh $(DEPS_BUILD)
deps:
	@deploy/apt-deps.sh $(DEPS_BUILD) $(DEPS_TEST) $$(sed 's/#.*//' test/clients/packages.txt)
	@command -v npm >/dev/null || deploy/apt-deps.sh nodejs npm

.PHONY: run
run: deps-build
	@$(MAKE) --no-print-directory all
	build/zokord configs/standalone.cfg

# exec: Ctrl-C is the script's to answer
.PHONY: run-ensemble
run-ensemble: deps-build
	@$(MAKE) --no-print-directory all
	@exec configs/ensemble3/run.sh

$(BUILD)/obj/dp/port/%.o $(BUILD)/obj/dp/eal/%.o $(BUILD)/obj/dp/tel/%.o: CPPFLAGS += -isystem /usr/include/dpdk $(DPDK_CFLAGS)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# Rebuild when the flags change, and only then.
FLAGS_TEXT := $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(DPDK_CFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_TEXT)' | cmp -s - $@ || echo '$(FLAGS_TEXT)' > $@
.PHONY: FORCE
FORCE:

define LIB_RULE
$(call lib,$(1)): $(call obj,$($(1)_SRC))
	$(call say,AR,$$@)
	@rm -f $$@
	$(Q)$$(AR) rcs $$@ $$^
endef
$(foreach l,$(LIBS) server testlib,$(eval $(call LIB_RULE,$(l))))

$(BUILD)/zokord: $(call lib,server) $(call lib,loop) $(call lib,net) $(call lib,port) $(call lib,core)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -Wl,--start-group $^ -Wl,--end-group $(DPDK_LIBS) $(URCU_LIBS) -lmnl -lcrypto -luring -ldeflate -lz -lsnappy -lpthread -o $@

$(BUILD)/zokorctl: $(call obj,$(TOOL_SRC)) $(call lib,core)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -ldeflate -lz -lsnappy -ljansson -o $@

$(BUILD)/zokor-bench: $(call obj,$(BENCH_SRC)) $(call lib,net) $(call lib,port) $(call lib,core)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -Wl,--start-group $^ -Wl,--end-group $(DPDK_LIBS) -lmnl -lpthread -o $@

# Tests: every file of test/unit, test/wire and test/sim named *_test.c is one program.
UNIT_SRC := $(sort $(wildcard test/unit/*_test.c test/unit/*/*_test.c test/wire/*_test.c test/sim/*_test.c))
UNIT_BIN := $(patsubst test/%.c,$(BUILD)/test/%,$(UNIT_SRC))
# Helpers beside them (test/wire/*.c, test/sim/*.c without _test) are linked into all of their folder.
folder_helpers = $(filter-out %_test.c,$(wildcard $(dir $(1))*.c))

.SECONDEXPANSION:
$(UNIT_BIN): $(BUILD)/test/%: $(BUILD)/obj/test/%.o $$(call obj,$$(call folder_helpers,test/%.c)) $(call lib,testlib) $(call lib,net) $(call lib,core)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -Wl,--start-group $^ -Wl,--end-group -lcmocka -Wl,--as-needed -luring -lurcu-qsbr -lcrypto -ldeflate -lz -lpthread -o $@

.PHONY: unit-bin
unit-bin: $(UNIT_BIN)

UNIT_CORE_BIN := $(filter-out $(BUILD)/test/sim/%,$(UNIT_BIN))

.PHONY: unit check-fast sim tsan asan test test-net test-clients lint arch tidy bench
unit: $(UNIT_CORE_BIN)
	@test/run.sh $(foreach t,$(UNIT_CORE_BIN),$(patsubst $(BUILD)/test/%,%,$(t))=$(t))

check-fast: $(UNIT_BIN)
	@SEEDS=30 TORTURE_S=2 test/run.sh $(foreach t,$(UNIT_BIN),$(patsubst $(BUILD)/test/%,%,$(t))=$(t))

SEEDS ?= 200
FROM ?= 1
sim: $(filter $(BUILD)/test/sim/%,$(UNIT_BIN))
	@SEEDS=$(SEEDS) FROM=$(FROM) test/run.sh $(foreach t,$^,$(patsubst $(BUILD)/test/%,%,$(t))=$(t))

# Those of whole ensembles: core/zab alone, and the whole stack.
ENSEMBLE_SIMS := $(BUILD)/test/sim/zab_test $(BUILD)/test/sim/cluster_test
.PHONY: sim-ensembles soak-sim
sim-ensembles: $(ENSEMBLE_SIMS)
	@SEEDS=$(SEEDS) FROM=$(FROM) test/run.sh $(foreach t,$^,$(patsubst $(BUILD)/test/%,%,$(t))=$(t))
soak-sim: $(ENSEMBLE_SIMS)
	for t in $^; do SEEDS=100000 $$t || exit 1; done

# The thread sanitizer sees what runs on several threads: the rings and the tree.
TSAN_TESTS := unit/base/ring_test unit/base/metric_test unit/server/throttle_test unit/tree/torture_test unit/tree/snap_torture_test
tsan:
	@$(MAKE) --no-print-directory SAN=thread tsan-run
.PHONY: tsan-run
tsan-run: $(addprefix $(BUILD)/test/,$(TSAN_TESTS))
	@test/run.sh $(foreach t,$^,$(patsubst $(BUILD)/test/%,%,$(t))=$(t))

test-net: all
	@test/run.sh $(foreach t,$(wildcard test/net/*.sh),$(patsubst test/%,%,$(t))=$(t))

test-clients: all
	@test/clients/run.sh zokor

# The same requests to Debian's Apache ZooKeeper and to zokord, every field compared.
.PHONY: test-diff
test-diff: all
	@test/clients/diff/run.sh --at-least 300,20000

arch: $(foreach l,$(LIBS),$(call lib,$(l)))
	@test/arch/arch.sh $(BUILD)

tidy: all
	@test/arch/tidy.sh $(BUILD)

LINT_C := $(sort $(CORE_SRC) $(NET_SRC) $(PORT_SRC) $(LOOP_SRC) $(SERVER_SRC) $(TOOL_SRC) $(BENCH_SRC))
LINT_H := $(sort $(wildcard core/*.h core/*/*.h dp/*/*.h dp/*/*/*.h ctl/*/*.h bench/*.h test/*/*.h test/*/*/*.h))
LINT_TEST := $(sort $(wildcard test/*/*.c test/*/*/*.c bench/micro/*.c bench/watch/*.[ch]))
LINT_SH := $(sort $(wildcard test/*/*/*.sh test/*/*.sh test/*.sh bench/*.sh deploy/*.sh configs/*/*.sh) .ci/run)
.PHONY: lint lint-format lint-tidy lint-cppcheck lint-shell
lint: lint-format lint-tidy lint-cppcheck lint-shell
lint-format:
	clang-format --dry-run -Werror $(LINT_C) $(LINT_H) $(LINT_TEST)
lint-tidy: $(patsubst %,$(BUILD)/tidy/%.ok,$(LINT_C))
$(BUILD)/tidy/%.ok: % .clang-tidy
	@mkdir -p $(@D)
	$(call say,TIDY,$<)
	@clang-tidy --quiet $< -- $(CPPFLAGS) -isystem /usr/include/dpdk $(DPDK_CFLAGS) -std=c11 2>$@.log || { cat $@.log; false; }
	@touch $@
lint-cppcheck:
	cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr --enable=warning,performance,portability \
		--suppress=missingInclude --suppress=normalCheckLevelMaxBranches -j2 -I. core dp ctl bench
lint-shell:
	shellcheck -x $(LINT_SH)

bench: all
	@bench/run.sh

test: deps
	@test/all.sh

-include $(wildcard test/*/*.mk test/*/*/*.mk bench/*.mk bench/micro/*.mk)
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

.PHONY: clean
clean:
	rm -rf build
