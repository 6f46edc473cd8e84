# SPDX-License-Identifier: Apache-2.0
# Three servers in namespaces of their own: `make bench-failover`, `make bench-ensemble`,
# `make bench-observer`.

.PHONY: bench-failover bench-ensemble bench-observer
bench-failover: all
	@BUILD=$(abspath $(BUILD)) bench/ensemble.sh failover.py $(ARGS)
bench-ensemble: all $(BUILD)/bench/sock_load
	@BUILD=$(abspath $(BUILD)) bench/ensemble.sh ensemble.py $(ARGS)
bench-observer: all $(BUILD)/bench/sock_load
	@BUILD=$(abspath $(BUILD)) bench/ensemble.sh observer.py $(ARGS)
