# SPDX-License-Identifier: BSD-3-Clause
#
# Unit tests that need more than the generic rule gives them.

# A change of the superblock may fail, or take as long as the test likes.
$(B)/tests/unit/replicator/test_facts: flags_ld += -Wl,--wrap=lfs_set_meta
$(B)/tests/unit/replicator/test_session_conn: flags_ld += -Wl,--wrap=lfs_set_meta
$(B)/tests/unit/replicator/test_lifecycle: flags_ld += -Wl,--wrap=lfs_set_meta
$(B)/tests/unit/replicator/test_switchover: flags_ld += -Wl,--wrap=lfs_set_meta
$(B)/tests/unit/replicator/test_promote: flags_ld += -Wl,--wrap=lfs_set_meta
$(B)/tests/unit/replicator/test_promote_undo: flags_ld += -Wl,--wrap=lfs_set_meta
# So may a flush, a read, and an append.
$(B)/tests/unit/replicator/test_apply: flags_ld += -Wl,--wrap=lfs_flush
$(B)/tests/unit/replicator/test_request: flags_ld += -Wl,--wrap=lfs_flush
$(B)/tests/unit/replicator/test_write: flags_ld += -Wl,--wrap=lfs_read -Wl,--wrap=lfs_append
$(B)/tests/unit/replicator/test_session_primary: flags_ld += -Wl,--wrap=lfs_append
$(B)/tests/unit/replicator/test_session_mirror: flags_ld += -Wl,--wrap=lfs_append \
		-Wl,--wrap=lfs_flush -Wl,--wrap=lfs_set_meta

# Whether the transport learns that somebody waits.
$(B)/tests/unit/replicator/test_session: flags_ld += -Wl,--wrap=transport_expedite

# What the socket of the tunnels has counted.
$(B)/tests/unit/replicator/test_status: flags_ld += -Wl,--wrap=tunnel_io_stats

# A message may be one that cannot be sealed.
$(B)/tests/unit/replicator/test_conn: flags_ld += -Wl,--wrap=secure_write
# Where loop, socket and TLS are the test's: what is freed.
$(patsubst %,$(B)/tests/unit/replicator/test_%,conn_life conn_stream transport_tcp_rules): \
		flags_ld += -Wl,--wrap=rt_free

# What the kernel says late, and what is freed.
$(B)/tests/unit/tunnel/test_io_late: flags_ld += -Wl,--wrap=rt_dgram_open \
		-Wl,--wrap=rt_dgram_send_message -Wl,--wrap=rt_free
$(B)/tests/unit/tunnel/test_edge_relay: flags_ld += -Wl,--wrap=rt_dgram_open
$(B)/tests/unit/tunnel/test_keys_wiped: flags_ld += -Wl,--wrap=rt_free

# What is on a device may be impossible to see.
$(B)/tests/unit/control/test_command_content: flags_ld += -Wl,--wrap=blkid_do_safeprobe

# The NBD server's connections: real sockets, libnbd as the client, a double of the group.
# The double stands in for the archive of replicator/, which is not linked.
live_dir := tests/unit/nbd-server/live
live_tests := $(patsubst %.c,$(B)/%,$(wildcard $(live_dir)/test_*.c))
live_objects := $(call objects,$(live_dir)/fake_group.c $(live_dir)/live.c)
live_archives := $(call archive,nbd-server) $(call archive,rt)

$(live_tests): $(B)/$(live_dir)/test_%: $(B)/$(live_dir)/test_%.o $(live_objects) \
		$(live_archives)
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^ $(libs_rt) -lnbd -lcmocka -pthread

.PHONY: unit-nbd-server-live
unit-nbd-server: unit-nbd-server-live
unit-nbd-server-live: $(live_tests)
	$(Q)set -e; for t in $(live_tests); do echo "== $$t"; $$t; done
