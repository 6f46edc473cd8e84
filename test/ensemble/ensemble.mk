# SPDX-License-Identifier: Apache-2.0
# Ensembles of real servers; KINDS=zokor,apache,apache chooses them.

.PHONY: test-ensemble
test-ensemble: all $(BUILD)/test/crash/faultfs
	@BUILD=$(abspath $(BUILD)) test/ensemble/run.sh $(if $(KINDS),--kinds $(KINDS)) $(ARGS)
