# SPDX-License-Identifier: Apache-2.0
# Durability from end to end; ROUNDS=n for a longer crash loop.

.PHONY: test-crash
test-crash: all
	@test/crash/run.sh zokor
