# SPDX-License-Identifier: Apache-2.0
# The configuration reader has no archive that a pure test links: name its objects.
$(BUILD)/test/unit/ctl/config_test $(BUILD)/test/unit/ctl/config_quorum_test: $(call obj,ctl/server/config.c \
	ctl/server/config_print.c ctl/server/config_quorum.c ctl/server/key.c ctl/server/keys.c ctl/server/keys_quorum.c \
	ctl/server/value.c ctl/server/props.c ctl/server/log.c ctl/server/disk.c dp/port/spec.c)
$(BUILD)/test/unit/ctl/disk_test: $(call obj,ctl/server/disk.c)
$(BUILD)/test/unit/ctl/logwriter_test: $(call obj,ctl/server/logwriter.c ctl/server/disk.c ctl/server/helper.c \
	ctl/server/log.c ctl/server/cpus.c dp/loop/logstage.c dp/loop/waker.c)
tsan-run: $(BUILD)/test/unit/ctl/logwriter_test
$(BUILD)/test/unit/ctl/quorum_files_test: $(call obj,test/unit/store/history.c ctl/server/quorum_files.c \
	ctl/server/quorum_reading.c ctl/server/disk.c ctl/server/helper.c ctl/server/log.c ctl/server/cpus.c dp/loop/waker.c)
tsan-run: $(BUILD)/test/unit/ctl/quorum_files_test
$(BUILD)/test/unit/ctl/names_test: $(call obj,ctl/server/names.c ctl/server/value.c ctl/server/helper.c ctl/server/log.c \
	ctl/server/cpus.c dp/loop/waker.c)
tsan-run: $(BUILD)/test/unit/ctl/names_test
