# SPDX-License-Identifier: Apache-2.0
# Durability from end to end; ROUNDS=n for a longer crash loop.

FUSE_CFLAGS := $(patsubst -I%,-isystem %,$(shell $(PKG) --cflags fuse3 2>/dev/null))
FAULTFS_OBJ := $(call obj,test/crash/fs/faultfs.c test/crash/fs/model.c)

$(FAULTFS_OBJ): CPPFLAGS += $(FUSE_CFLAGS)
$(BUILD)/test/crash/faultfs: $(FAULTFS_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ $(shell $(PKG) --libs fuse3) -o $@

# The second one shows that the tests are right.
.PHONY: test-crash test-crash-apache
test-crash: all $(BUILD)/test/crash/faultfs
	@BUILD=$(abspath $(BUILD)) test/crash/run.sh zokor
test-crash-apache: all $(BUILD)/test/crash/faultfs
	@BUILD=$(abspath $(BUILD)) ROUNDS=20 NODES=5000 test/crash/run.sh apache
