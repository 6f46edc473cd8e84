#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The house plan (CONTRIBUTING, "The plan") as a test: includes, undefined symbols, mutable state.
# usage: arch.sh BUILD_DIR
set -u
build=${1:?usage: arch.sh BUILD_DIR}
bad=0 good=0

fail() {
	printf 'arch: %s\n' "$*"
	bad=$((bad + 1))
}

# ban FOLDERS REGEX WHY: no source in the folders may include a header that matches
ban() {
	local hits
	# shellcheck disable=SC2086
	hits=$(find $1 -name '*.[ch]' -print0 2>/dev/null |
		xargs -0r grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($2)" /dev/null | grep -vE "${4:-^$}")
	if [ -n "$hits" ]; then
		fail "$3:"$'\n'"$hits"
	else
		good=$((good + 1))
	fi
}

system='sys/|unistd|pthread|fcntl|time\.h|poll\.h|signal|netinet|arpa|sched|errno|linux/|threads\.h|liburing|libmnl'
ban 'core dp/net' "$system" 'core and dp/net are pure: no system headers'
ban 'core dp/net dp/loop ctl' 'rte_' 'DPDK has one door: dp/port, dp/eal, dp/tel'
ban 'core dp ctl' 'urcu' 'liburcu is behind core/rcu.h' '^core/rcu\.h:'
ban 'core' 'openssl/' 'OpenSSL in core only for the digests of core/txn' '^core/txn/'
ban 'core' 'zlib|snappy|jansson' 'compression and JSON are for ctl'
ban 'core' 'libdeflate' 'of libdeflate only the two checksums' '^core/(store/sum|tree/digest)\.c:'
ban 'core' 'dp/|ctl/|bench/|test/' 'core sees core only'
ban 'core/base' 'core/(jute|tree|txn|session|watch|server|zab|store)/' 'core/base sees nothing above it'
ban 'core/jute' 'core/(tree|txn|session|watch|server|zab|store)/' 'core/jute sees core/base only'
ban 'core/tree' 'core/(txn|session|watch|server|zab|store)/' 'core/tree sees base and jute only'
ban 'core/watch' 'core/(txn|session|server|zab|store)/' 'core/watch sees base, jute and tree only'
ban 'core/txn core/session' 'core/(server|watch|zab|store)/' 'core/txn and core/session sit below core/server'
ban 'core/zab' 'core/(tree|txn|session|watch|server|store)/' 'core/zab sees base and jute only'
ban 'dp/net' 'core/(jute|tree|txn|session|watch|server|zab|store|rcu)' 'dp/net sees core/base only'
ban 'dp/net' 'dp/(loop|eal|tel)|dp/port/port\.h|ctl/|bench/|test/' 'dp/net sees dp/port/pkt.h only'
ban 'dp/port dp/eal dp/tel' 'core/(jute|tree|txn|session|watch|server)/|dp/(net|loop)|ctl/|bench/|test/' 'dp/port sits under everything'
ban 'dp/loop' 'ctl/|bench/|test/' 'dp/loop does not know who runs it'
ban 'ctl' 'bench/|test/' 'nothing may use bench and test'

# Undefined symbols of the pure archives: libc's memory and string functions, and what the plan allows.
libc='mem(cpy|move|set|cmp|chr|rchr|mem)|str(len|cmp|ncmp|chr|rchr|nlen|spn|cspn|toul|toull|toll|tol)|v?snprintf|abort|__stack_chk_fail|__(memcpy|memmove|memset|snprintf|vsnprintf|fprintf)_chk|_GLOBAL_OFFSET_TABLE_|__isoc23_strtou?ll?|__ctype_b_loc'
heap='malloc|free|fprintf|stderr'
undefined() {
	nm -u "$1" 2>/dev/null | awk '$1 == "U" {print $2}' | sort -u >"$tmp/u"
	shift
	nm --defined-only "$@" 2>/dev/null | awk 'NF == 3 {print $3}' | sort -u >"$tmp/d"
	comm -23 "$tmp/u" "$tmp/d"
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
symbols() { # ARCHIVE ALLOWED OTHER_ARCHIVES...
	local archive=$1 allowed=$2 extra
	shift 2
	if [ ! -f "$archive" ]; then
		fail "$archive is not built"
		return
	fi
	extra=$(undefined "$archive" "$archive" "$@" | grep -vxE "$allowed")
	if [ -n "$extra" ]; then
		fail "$(basename "$archive") needs what the plan does not give it:"$'\n'"$extra"
	else
		good=$((good + 1))
	fi
}
symbols "$build/libcore.a" "$libc|$heap|SHA1|SHA256|EVP_EncodeBlock|libdeflate_adler32|libdeflate_crc32"
symbols "$build/libnet.a" "$libc|pkt_[a-z_]+" "$build/libcore.a"
if nm -u "$build/libnet.a" "$build/libcore.a" "$build/libloop.a" | grep -qE ' rte_'; then
	fail 'an archive above dp/port names rte_*'
else
	good=$((good + 1))
fi

# No mutable file-scope state in the pure archives: two instances live in one process.
state=$(objdump -t "$build/libcore.a" "$build/libnet.a" 2>/dev/null |
	awk 'NF >= 5 && $(NF-2) ~ /^\.(data|bss)(\.|$)/ && $(NF-2) !~ /^\.data\.rel\.ro/ && $(NF-1) !~ /^0+$/ {print $NF}')
if [ -n "$state" ]; then
	fail "mutable state in core or dp/net: $state"
else
	good=$((good + 1))
fi
printf '%d passed, %d failed\n' "$good" "$bad"
[ "$bad" -eq 0 ]
