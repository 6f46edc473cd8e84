#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that CI runs, in order of how soon a mistake shows. Ends with `N passed, N failed`.
set -u
cd "$(dirname "$0")/.." || exit 1
export LOG=$PWD/build/log NO_SKIP=1
mkdir -p "$LOG"
jobs=-j$(nproc)
make="make --no-print-directory"

# "Nothing rebuilt when nothing changed."
if [ "${1:-}" = rebuild-check ]; then
	out=$($make all unit-bin 2>&1)
	printf '%s\n' "$out"
	! printf '%s\n' "$out" | grep -qE '^(CC|LD|AR) '
	exit
fi

steps=(
	"build/gcc=$make $jobs all unit-bin"
	"build/nothing-twice=$0 rebuild-check"
	"arch=$make arch"
	"tidy=$make tidy"
	"lint/format=$make lint-format"
	"lint/shell=$make lint-shell"
	"unit=$make unit"
	"sim=$make sim SEEDS=${SEEDS:-200}"
	"sim/ensembles=$make sim-ensembles SEEDS=1800 FROM=201"
	"build/clang=$make $jobs CC=clang all unit-bin"
	"unit/clang=$make CC=clang unit"
	"build/asan=$make $jobs SAN=address,undefined all unit-bin"
	"unit/asan=$make SAN=address,undefined unit"
	"sim/asan=$make SAN=address,undefined sim SEEDS=40"
	"tsan=$make $jobs tsan"
	"net=$make test-net"
	"store=$make test-store"
	"store/snapshot=$make test-snapshot"
	"store/snapshot-asan=env ZOKORD=build/v-address-undefined/zokord test/store/snapshot.sh"
	"crash=$make test-crash"
	"crash/both=env ROUNDS=20 test/crash/run.sh both loop"
	"crash/apache=env ROUNDS=10 NODES=5000 test/crash/run.sh apache loop tamper exchange"
	"ensemble=$make test-ensemble"
	"clients/one-core=test/clients/run.sh zokor"
	"clients/two-cores=env ZOKOR_CONF_EXTRA=dp.cores=0,1 test/clients/run.sh zokor"
	"clients/four-cores=env ZOKOR_CONF_EXTRA=dp.cores=0,1,0,1 test/clients/run.sh zokor"
	"diff/one-core=$make test-diff"
	"diff/two-cores&=env ZOKOR_CONF_EXTRA=dp.cores=0,1 test/clients/diff/run.sh --no-selftest 5"
	"diff/four-cores=env ZOKOR_CONF_EXTRA=dp.cores=0,1,0,1 test/clients/diff/run.sh --no-selftest 5"
	"diff/apache-apache=test/clients/diff/run.sh apache apache --no-selftest 5"
	"clients/asan=env ZOKORD=build/v-address-undefined/zokord test/clients/run.sh zokor"
	"net/asan=env ZOKORD=build/v-address-undefined/zokord test/net/zokord.sh"
	"bench/watch=$make bench-watch-smoke"
	"bench/fanout=$make bench-fanout-smoke"
	"clients/limits=test/clients/limits.sh zokor"
	"lint/tidy&=$make $jobs lint-tidy"
	"fuzz=$make fuzz T=${T:-10}"
	"lint/cppcheck=$make lint-cppcheck"
)
exec test/run.sh "${steps[@]}"
