#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Four-letter words: shape and figures of every answer."""

import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import zkwire as zk
from raw_node import begin, ends_silently, made, node
from report import case, check, run, same, until
from zkwire import Conn

def shape(text, *lines):
    """text has these lines, each a regular expression, in this order and no other."""
    got = text.split("\n")
    same(got[-1:], [""], "end of the last line")
    check(len(got) - 1 == len(lines), "%d lines instead of %d:\n%s", len(got) - 1, len(lines), text)
    for have, want in zip(got, lines):
        check(re.fullmatch(want, have), "line %r does not match %r", have, want)


SRVR = [r"Latency min/avg/max: \d+/\d+(\.\d+)?(E-\d+)?/\d+", r"Received: \d+", r"Sent: \d+",
        r"Connections: \d+", r"Outstanding: \d+", r"Zxid: 0x[0-9a-f]+", r"Mode: standalone",
        r"Node count: \d+"]
VERSION = r"Zookeeper version: .+, built on .+"
BRIEF = r" /[0-9.]+:\d+\[[0145]\]\(queued=\d+,recved=\d+,sent=\d+\)"
CONS = (r" /[0-9.]+:\d+\[[0145]\]\(queued=\d+,recved=\d+,sent=\d+"
        r"(,sid=0x[0-9a-f]+,lop=[A-Z0-9]+,est=\d+,to=\d+(,lcxid=0x[0-9a-f]+)?,lzxid=0x[0-9a-f]+,"
        r"lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+)?\)")


# What a standalone Apache ZooKeeper 3.9.5 shows in mntr, without "zk_".
MNTR_PLAIN = """
    add_dead_watcher_stall_time approximate_data_size auth_failed_count avg_latency
    bytes_received_count cnxn_closed_without_zk_server_running commit_count
    connection_drop_count connection_drop_probability connection_rejected
    connection_request_count connection_revalidate_count dead_watchers_cleared
    dead_watchers_queued diff_count digest_mismatches_count ensemble_auth_fail
    ensemble_auth_skip ensemble_auth_success ephemerals_count global_sessions
    insecure_admin_count large_requests_rejected last_client_response_size
    learner_commit_received_count learner_proposal_received_count local_sessions looking_count
    max_client_response_size max_file_descriptor_count max_latency min_client_response_size
    min_latency non_mtls_local_conn_count non_mtls_remote_conn_count num_alive_connections
    open_file_descriptor_count outstanding_changes_queued outstanding_changes_removed
    outstanding_requests outstanding_tls_handshake packets_received packets_sent
    prep_processor_request_queued proposal_count quit_leading_due_to_disloyal_voter
    request_commit_queued request_throttle_wait_count
    requests_not_forwarded_to_commit_processor response_bytes response_packet_cache_hits
    response_packet_cache_misses response_packet_get_children_cache_hits
    response_packet_get_children_cache_misses restore_error_count restore_rate_limited_count
    revalidate_count server_state sessionless_connections_expired
    skip_learner_request_to_next_processor_count snap_count snapshot_error_count
    snapshot_rate_limited_count stale_replies stale_requests stale_requests_dropped
    stale_sessions_expired sync_processor_request_queued throttled_ops tls_handshake_exceeded
    unrecoverable_error_count unsuccessful_handshake uptime version watch_bytes watch_count
    znode_count
""".split()
MNTR_SUMMARIES = """
    commit_commit_proc_req_queued commit_process_time
    concurrent_request_processing_in_commit_processor connection_token_deficit dbinittime
    election_time follower_sync_time fsynctime inflight_diff_count inflight_snap_count
    leader_unavailable_time learner_request_processor_queue_size netty_queued_buffer_capacity
    node_changed_watch_count node_children_watch_count node_created_watch_count
    node_deleted_watch_count observer_sync_time pending_session_queue_size prep_process_time
    prep_processor_queue_size proposal_process_time read_commit_proc_issued
    read_commit_proc_req_queued reads_after_write_in_session_queue
    reads_issued_from_session_queue requests_in_session_queue restore_time
    session_queues_drained snapshottime socket_closing_time startup_snap_load_time
    startup_txns_load_time startup_txns_loaded sync_process_time sync_processor_batch_size
    sync_processor_queue_size time_waiting_empty_pool_in_commit_processor_read_ms
    unavailable_time write_batch_time_in_commit_processor write_commit_proc_issued
    write_commit_proc_req_queued
""".split()
MNTR_DETAILED = """
    close_session_prep_time commit_propagation_latency dead_watchers_cleaner_latency
    jvm_pause_time_ms local_write_committed_time_ms om_commit_process_time_ms
    om_proposal_process_time_ms prep_processor_queue_time_ms propagation_latency
    proposal_ack_creation_latency proposal_latency quorum_ack_latency read_commitproc_time_ms
    read_final_proc_time_ms readlatency request_throttle_queue_time_ms
    server_write_committed_time_ms sync_processor_queue_and_flush_time_ms
    sync_processor_queue_flush_time_ms sync_processor_queue_time_ms updatelatency
    write_commitproc_time_ms write_final_proc_time_ms
""".split()
# Of them what zokor has no counterpart for, or does not measure.
MNTR_LEFT_OUT = """
    outstanding_changes_queued outstanding_changes_removed
""".split()
MNTR_LEFT_OUT_SUMMARIES = """
    prep_process_time prep_processor_queue_size proposal_process_time close_session_prep_time
""".split()


@case
def words_that_are_short():
    for tail in (b"", b"\n", b"\r\n"):
        same(zk.four_letters("ruok", tail), "imok", "ruok")
        same(zk.four_letters("isro", tail), "rw", "isro")
    # One byte at a time is a word too.
    with Conn(connect=False) as c:
        for byte in b"ruok":
            c.sock.send(bytes([byte]))
            time.sleep(0.02)
        same(c.rest(), b"imok", "ruok byte by byte")
    same(zk.four_letters("zzzz"), "", "an unknown word")
    same(zk.four_letters("stmk", bytes(8)), "stmk is not executed because it is not in the "
         "whitelist.\n", "a word that is not in the whitelist")
    shape(zk.four_letters("gtmk") + "\n", r"\d+")
    with Conn() as c:
        c.send(b"ruok")
        ends_silently(c, "a word after the session began")


@case
def words_srvr_and_stat():
    shape(zk.four_letters("srvr"), VERSION, *SRVR)
    with Conn() as c:
        c.call(zk.EXISTS, zk.watched("/"))
        text = zk.four_letters("stat")
        head, rest = text.split("\n\n", 1)
        lines = head.split("\n")
        check(re.fullmatch(VERSION, lines[0]), "first line of stat: %r", lines[0])
        same(lines[1], "Clients:", "second line of stat")
        for line in lines[2:]:
            check(re.fullmatch(BRIEF, line), "client line of stat: %r", line)
        mine = "/%s:%d[" % c.sock.getsockname()
        check(mine in head, "stat does not show the connection %s", mine)
        shape(rest, *SRVR)


@case
def word_counts_follow():
    def node_count():
        return int(re.search(r"Node count: (\d+)", zk.four_letters("srvr")).group(1))

    with Conn() as c:
        before = node_count()
        for n in range(10):
            made(c, node("count-%d" % n))
        same(node_count(), before + 10, "node count")
        zxid = c.call(zk.EXISTS, zk.watched("/")).zxid
        seen = int(re.search(r"Zxid: 0x([0-9a-f]+)", zk.four_letters("srvr")).group(1), 16)
        check(seen >= zxid, "srvr shows zxid %x after %x", seen, zxid)


@case
def word_cons():
    with Conn() as c:
        c.call(zk.GET_DATA, zk.watched("/"))
        text = zk.four_letters("cons")
        check(text.endswith("\n\n"), "cons does not end with a blank line")
        for line in text[:-2].split("\n"):
            check(re.fullmatch(CONS, line), "line of cons: %r", line)
        mine = [l for l in text.split("\n") if "/%s:%d[" % c.sock.getsockname() in l]
        same(len(mine), 1, "lines for our connection")
        for part in ("sid=0x%x" % c.session, "lop=GETD", "to=10000", "lcxid=0x1"):
            check(part + "," in mine[0], "%s is not in %r", part, mine[0])


@case
def word_mntr():
    text = zk.four_letters("mntr")
    check(text.endswith("\n"), "mntr does not end with a newline")
    values = {}
    for line in text[:-1].split("\n"):
        check(re.fullmatch(r"zk_[^\t]+\t.*", line), "line of mntr: %r", line)
        key, value = line.split("\t", 1)
        values[key] = value
    for key in ("avg_latency", "min_latency", "max_latency", "packets_received", "packets_sent",
                "num_alive_connections", "outstanding_requests", "znode_count", "watch_count",
                "ephemerals_count", "approximate_data_size", "open_file_descriptor_count",
                "max_file_descriptor_count", "global_sessions", "local_sessions", "uptime"):
        value = values.get("zk_" + key)
        check(value is not None, "mntr has no zk_%s", key)
        check(re.fullmatch(r"-?\d+(\.\d+)?", value), "zk_%s is %r", key, value)
    same(values["zk_server_state"], "standalone", "zk_server_state")
    check(text.startswith("zk_version\t"), "mntr does not begin with zk_version")
    check(", built on " in values["zk_version"], "zk_version is %r", values["zk_version"])


def mntr():
    return dict(line.split("\t", 1) for line in zk.four_letters("mntr")[:-1].split("\n"))


@case
def word_mntr_has_every_key():
    values = mntr()
    known = set()
    for prefixes, names in (([""], MNTR_PLAIN),
                            (["avg_", "min_", "max_", "cnt_", "sum_"], MNTR_SUMMARIES),
                            (["avg_", "min_", "max_", "cnt_", "sum_", "p50_", "p95_", "p99_",
                              "p999_"], MNTR_DETAILED)):
        for name in names:
            for prefix in prefixes:
                known.add("zk_" + prefix + name)
                out = name in (MNTR_LEFT_OUT + MNTR_LEFT_OUT_SUMMARIES) and zk.KIND == "zokor"
                new = name.startswith(("restore_", "snapshot_")) and zk.LINE == "3.8"
                check(out or new or "zk_" + prefix + name in values, "mntr has no zk_%s%s", prefix,
                      name)
    if zk.KIND == "apache":
        same(sorted(set(values) - known - {k for k in values if "_namespace" in k}), [],
             "keys of Apache that this test does not know")


@case
def word_mntr_follows():
    with Conn() as c:
        path = node("mntr")
        made(c, path)
        c.call(zk.GET_DATA, zk.watched(path, True))
        before = mntr()
        c.call(zk.SET_DATA, zk.set_data(path, b"12345"))
        until(lambda: c.events, "an event")
        for _ in range(10):
            c.call(zk.GET_DATA, zk.watched(path))
        after = mntr()

        def grew(key, by):
            have = int(after["zk_" + key]) - int(before["zk_" + key])
            check(have >= by, "zk_%s grew by %d, not %d", key, have, by)

        grew("cnt_updatelatency", 1)
        grew("cnt_readlatency", 10)
        grew("cnt_node_changed_watch_count", 1)
        grew("sum_node_changed_watch_count", 1)
        grew("watch_bytes", 28 + len(path))
        grew("response_bytes", 16 + 68 + 10 * (16 + 4 + 5 + 68))
        grew("cnt_propagation_latency", 1)
        grew("prep_processor_request_queued", 1)
        same(int(after["zk_watch_count"]), int(before["zk_watch_count"]) - 1, "watch_count")
    drops = int(mntr()["zk_connection_drop_count"])
    c = Conn()
    c.sock.close()
    until(lambda: int(mntr()["zk_connection_drop_count"]) > drops, "connection_drop_count grows")


@case
def word_mntr_has_quotas():
    if zk.LINE == "3.8":
        return
    with Conn() as c:
        top = node("").strip("/")
        base = "/zookeeper/quota/" + top
        made(c, base)
        made(c, base + "/zookeeper_limits", b"count=9,bytes=-1=;countHardLimit=0")
        made(c, base + "/zookeeper_stats")
        same(c.call(zk.CREATE, zk.create(node("above"), b"", None, 0)).err, -125, "create")
        values = mntr()
        usage = int(values["zk_%s_quota_count_usage_per_namespace" % top])
        check(usage > 0, "count_usage is %d", usage)
        for figure, want in (("count_limit", "0"), ("bytes_limit", "-1"), ("exceeded_error", "1")):
            key = "zk_%s_quota_%s_per_namespace" % (top, figure)
            same(values.get(key), want, key)
        for name in ("/zookeeper_limits", "/zookeeper_stats", ""):
            same(c.call(zk.DELETE, zk.versioned(base + name)).err, 0, "delete of " + name)
        check("zk_%s_quota_count_limit_per_namespace" % top not in mntr(), "a quota that is gone")


@case
def word_conf():
    values = dict(line.split("=", 1) for line in zk.four_letters("conf").strip().split("\n"))
    for key, want in (("clientPort", str(zk.PORT)), ("tickTime", "2000"), ("maxClientCnxns", "0"),
                      ("minSessionTimeout", "4000"), ("maxSessionTimeout", "40000"),
                      ("serverId", "0")):
        same(values.get(key), want, key + " of conf")
    for key in ("dataDir", "dataLogDir"):
        check(re.fullmatch(r"/.*/version-2", values[key]), "%s=%s", key, values[key])
    for key in ("secureClientPort", "dataDir", "dataDirSize", "dataLogDir", "dataLogSize",
                "clientPortListenBacklog"):
        check(key in values, "conf has no %s", key)


@case
def word_hash():
    """The digest of the tree at every zxid that 128 divides."""
    def lines():
        out = []
        for line in zk.four_letters("hash").split("\n")[:-1]:
            check(re.fullmatch(r"[0-9a-f]+: -?\d+", line), "line of hash: %r", line)
            out.append((int(line.split(":")[0], 16), int(line.split(": ")[1])))
        return out

    with Conn() as c:
        made(c, node("hash"))
        before = lines()
        for n in range(300):
            zxid = c.call(zk.SET_DATA, zk.set_data(node("hash"), b"%d" % n)).zxid
        got = lines()
        check(len(got) == 1024 or got[0][0] == 128, "the history begins with %x", got[0][0])
        same([z for z, _ in got], list(range(got[0][0], zxid + 1, 128)), "zxids")
        new = [d for z, d in got if not before or z > before[-1][0]]
        check(len(new) >= 2, "hash does not grow")
        same(len(set(new)), len(new), "different digests")
        for z, d in got:
            check(-(1 << 63) <= d < 1 << 63, "digest %d", d)


@case
def words_about_watches():
    with Conn() as c:
        path = node("wch")
        made(c, path)
        c.call(zk.GET_DATA, zk.watched(path, True))
        c.call(zk.GET_CHILDREN, zk.watched(path, True))
        shape(zk.four_letters("wchs"), r"\d+ connections watching \d+ paths", r"Total watches:\d+")
        text = zk.four_letters("wchp")
        check("%s\n\t0x%x\n" % (path, c.session) in text, "wchp: %r", text)
        text = zk.four_letters("wchc")
        check("0x%x\n\t%s\n" % (c.session, path) in text, "wchc: %r", text)


@case
def words_about_one_path_on_every_core():
    """Its watchers are on any core; it counts once."""
    conns = [Conn() for _ in range(24)]
    base, many = node("one"), 300
    made(conns[0], base)
    for n, c in enumerate(conns):
        c.call(zk.GET_DATA, zk.watched(base, True))
        for i in range(many if n % 2 else 0):
            c.send(zk.request(c.next_xid(), zk.EXISTS, zk.watched("%s/%d" % (base, i), True)))
            c.answer(c.xid)
    text = zk.four_letters("wchs")
    same(text, "24 connections watching %d paths\nTotal watches:%d\n" % (many + 1, 24 + 12 * many),
         "wchs")
    groups = {}
    for line in zk.four_letters("wchp").split("\n"):
        if line.startswith("\t"):
            groups[path].append(int(line[1:], 16))
        elif line:
            path = line
            check(path not in groups, "%s comes twice", path)
            groups[path] = []
    want = {"%s/%d" % (base, i): sorted(c.session for c in conns[1::2]) for i in range(many)}
    want[base] = sorted(c.session for c in conns)
    same({p: sorted(v) for p, v in groups.items()}, want, "wchp")
    for c in conns:
        c.close()


@case
def words_that_are_left():
    shape(zk.four_letters("dirs"), r"datadir_size: \d+", r"logdir_size: \d+")
    text = zk.four_letters("envi")
    check(text.startswith("Environment:\n"), "envi begins with %r", text[:40])
    keys = [line.split("=", 1)[0] for line in text.strip().split("\n")[1:]]
    same(keys, ["zookeeper.version", "host.name"] +
         ["java." + k for k in ("version", "vendor", "home", "class.path", "library.path",
                                "io.tmpdir", "compiler")] +
         ["os.name", "os.arch", "os.version", "user.name", "user.home", "user.dir"] +
         ["os.memory." + k for k in ("free", "max", "total")], "keys of envi")
    with Conn() as c:
        made(c, node("dumped"), flags=1)
        text = zk.four_letters("dump")
        check("0x%x:\n\t%s\n" % (c.session, node("dumped")) in text, "dump: %r", text)
        for title in ("SessionTracker dump:", "ephemeral nodes dump:", "Connections dump:"):
            check(title + "\n" in text, "dump has no line %r", title)
    same(zk.four_letters("crst"), "Connection stats reset.\n", "crst")
    same(zk.four_letters("srst"), "Server stats reset.\n", "srst")


begin()
sys.exit(run())
