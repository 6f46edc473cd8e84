# SPDX-License-Identifier: Apache-2.0
# Ensembles of real servers; KINDS=zokor,apache,apache chooses them.

.PHONY: test-ensemble soak-faults
test-ensemble: all $(BUILD)/test/crash/faultfs
	@BUILD=$(abspath $(BUILD)) test/ensemble/run.sh $(if $(KINDS),--kinds $(KINDS)) $(ARGS)
# Ten minutes of faults, and ten of a hunt, judged.
soak-faults: all $(BUILD)/test/crash/faultfs
	@BUILD=$(abspath $(BUILD)) FAULTS_S=600 test/ensemble/run.sh $(if $(KINDS),--kinds $(KINDS)) faults chase
