# SPDX-License-Identifier: Apache-2.0
# Ensembles of real servers; KINDS=zokor,apache,apache chooses them.

ENSEMBLE = BUILD=$(abspath $(BUILD)) test/ensemble/run.sh $(if $(KINDS),--kinds $(KINDS))

.PHONY: test-ensemble test-ensemble-long soak-faults
test-ensemble: all $(BUILD)/test/crash/faultfs
	@$(ENSEMBLE) $(or $(ARGS),short)
test-ensemble-long: all $(BUILD)/test/crash/faultfs
	@$(ENSEMBLE)
# Ten minutes of faults, and ten of a hunt, judged.
soak-faults: all $(BUILD)/test/crash/faultfs
	@FAULTS_S=600 $(ENSEMBLE) faults chase
