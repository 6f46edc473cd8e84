#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Install the Debian packages named on the command line; quick when they are all there.
# usage: apt-deps.sh PACKAGE...
set -eu
missing=()
for p in "$@"; do
	dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$p")
done
[ "${#missing[@]}" -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
	printf 'these packages are missing; install them as root: apt-get install %s\n' "${missing[*]}" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -qy --no-install-recommends "${missing[@]}"
