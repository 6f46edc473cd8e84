# SPDX-License-Identifier: Apache-2.0
$(BUILD)/test/unit/loop/handoff_test: $(call obj,dp/loop/waker.c dp/loop/logstage.c)
tsan-run: $(BUILD)/test/unit/loop/handoff_test
$(BUILD)/test/unit/loop/thread_test: $(call obj,dp/loop/thread.c dp/loop/waker.c dp/loop/spin.c dp/loop/stolen.c)
$(BUILD)/test/unit/loop/spin_test: $(call obj,dp/loop/spin.c)
$(BUILD)/test/unit/loop/stolen_test: $(call obj,dp/loop/stolen.c)
$(BUILD)/test/unit/loop/pace_test: $(call obj,dp/loop/pace.c)
