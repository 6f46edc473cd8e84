# SPDX-License-Identifier: Apache-2.0
# Without peer_quorum.c: what runs on the peer here is the test's own.
PEER_TEST_SRC := dp/loop/peer.c dp/loop/peer_io.c dp/loop/peer_tx.c dp/loop/client_tx.c \
	dp/loop/waker.c dp/eal/pages.c dp/eal/hugepages.c
$(BUILD)/test/unit/peer/peer_test: $(call obj,$(PEER_TEST_SRC))
