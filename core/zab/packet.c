/* SPDX-License-Identifier: Apache-2.0 */
#include "core/zab/packet.h"

static const int64_t hello_one = -65536, hello_several = -65535;

const char *zab_type_name(int32_t type)
{
	static const char *const name[] = {
		"unknown",   "REQUEST",      "PROPOSAL",   "ACK",      "COMMIT",
		"PING",      "REVALIDATE",   "SYNC",       "INFORM",   "COMMITANDACTIVATE",
		"NEWLEADER", "FOLLOWERINFO", "UPTODATE",   "DIFF",     "TRUNC",
		"SNAP",      "OBSERVERINFO", "LEADERINFO", "ACKEPOCH", "INFORMANDACTIVATE"};

	return type > 0 && type < (int32_t)(sizeof(name) / sizeof(name[0])) ? name[type] : name[0];
}

/* A cursor that ran out of window is bad too; only lengths tell waiting from nonsense. */
static enum zk_err take_bytes(struct jute_in *in, uint32_t max, struct zk_span *out)
{
	int32_t n = jute_i32(in);

	*out = (struct zk_span){NULL, 0};
	if (in->bad)
		return ZK_EAGAIN;
	if (n == -1)
		return ZK_EOK;
	if (n < 0 || (uint32_t)n > max)
		return ZK_EINVAL;
	*out = zk_span_of(jute_take(in, (size_t)n), (size_t)n);
	return in->bad ? ZK_EAGAIN : ZK_EOK;
}

static enum zk_err take_auth(struct jute_in *in, struct zk_span *out)
{
	const uint8_t *start = in->p;
	int32_t n = jute_i32(in);
	struct zk_span part;

	*out = (struct zk_span){NULL, 0};
	if (in->bad)
		return ZK_EAGAIN;
	if (n == -1)
		return ZK_EOK;
	if (n < 0 || n > ZAB_AUTH_MAX)
		return ZK_EINVAL;
	for (int32_t i = 0; i < 2 * n; i++) {
		enum zk_err err = take_bytes(in, ZAB_ID_MAX, &part);

		if (err != ZK_EOK)
			return err;
	}
	*out = zk_span_of(start, (size_t)(in->p - start));
	return ZK_EOK;
}

enum zk_err zab_packet_get(struct zk_span window, uint32_t data_max, struct zab_packet *out,
			   size_t *used)
{
	struct jute_in in = jute_in_of(window);
	enum zk_err err;

	out->type = jute_i32(&in);
	out->zxid = (uint64_t)jute_i64(&in);
	if (in.bad)
		return ZK_EAGAIN;
	err = take_bytes(&in, data_max, &out->data);
	if (err == ZK_EOK)
		err = take_auth(&in, &out->auth);
	if (err == ZK_EOK)
		*used = (size_t)(in.p - window.p);
	return err;
}

void zab_packet_put(struct jute_out *out, const struct zab_packet *p)
{
	jute_put_i32(out, p->type);
	jute_put_i64(out, (int64_t)p->zxid);
	jute_put_bytes(out, p->data);
	if (p->auth.p)
		jute_put_raw(out, p->auth);
	else
		jute_put_i32(out, -1);
}

enum zk_err zab_learner_info_get(struct zk_span data, struct zab_learner_info *out)
{
	struct jute_in in = jute_in_of(data);

	*out = (struct zab_learner_info){.sid = -1, .protocol = 0};
	if (data.n == 0)
		return ZK_EOK;
	out->sid = jute_i64(&in);
	out->has_sid = true;
	if (data.n > 8)
		out->protocol = jute_i32(&in);
	if (data.n > 12) {
		out->config_version = (uint64_t)jute_i64(&in);
		out->has_version = true;
	}
	return in.bad ? ZK_EINVAL : ZK_EOK;
}

void zab_learner_info_put(struct jute_out *out, int64_t sid, uint64_t config_version)
{
	jute_put_i64(out, sid);
	jute_put_i32(out, ZAB_PROTOCOL);
	jute_put_i64(out, (int64_t)config_version);
}

static const uint32_t beat_magic = 0x7a6f6b72; /* "zokr" */

bool zab_beat_get(struct zk_span data, uint32_t behind, struct zab_beat *out)
{
	struct jute_in in;

	if (data.n < behind + ZAB_BEAT_BYTES)
		return false;
	in = jute_in_of(zk_span_of(data.p + behind, data.n - behind));
	if ((uint32_t)jute_i32(&in) != beat_magic || jute_i32(&in) < 1)
		return false;
	out->every_ms = (uint32_t)jute_i32(&in);
	out->timeout_ms = (uint32_t)jute_i32(&in);
	return out->every_ms && out->every_ms < out->timeout_ms &&
	       out->timeout_ms <= ZAB_BEAT_MAX_MS;
}

void zab_beat_put(struct jute_out *out, const struct zab_beat *b)
{
	jute_put_i32(out, (int32_t)beat_magic);
	jute_put_i32(out, 1); /* version */
	jute_put_i32(out, (int32_t)b->every_ms);
	jute_put_i32(out, (int32_t)b->timeout_ms);
}

enum zk_err zab_hello_get(struct zk_span window, struct zab_hello *out, size_t *used)
{
	struct jute_in in = jute_in_of(window);
	int64_t first = jute_i64(&in);
	int32_t n;

	if (in.bad)
		return ZK_EAGAIN;
	*out = (struct zab_hello){.sid = first};
	if (first >= 0) {
		*used = 8;
		return ZK_EOK;
	}
	if (first != hello_one && first != hello_several)
		return ZK_EINVAL;
	out->several = first == hello_several;
	out->sid = jute_i64(&in);
	n = jute_i32(&in);
	if (in.bad)
		return ZK_EAGAIN;
	if (n <= 0 || n > ZAB_HELLO_ADDRESS_MAX)
		return ZK_EINVAL;
	out->address = zk_span_of(jute_take(&in, (size_t)n), (size_t)n);
	if (in.bad)
		return ZK_EAGAIN;
	*used = (size_t)(in.p - window.p);
	return ZK_EOK;
}

void zab_hello_put(struct jute_out *out, const struct zab_hello *h)
{
	jute_put_i64(out, h->several ? hello_several : hello_one);
	jute_put_i64(out, h->sid);
	jute_put_bytes(out, h->address);
}

/* FastLeaderElection.Messenger.WorkerReceiver: what each length may hold. */
static bool notification(struct zk_span bytes, struct zab_notification *out)
{
	struct jute_in in = jute_in_of(bytes);
	int32_t state = jute_i32(&in), n;

	*out = (struct zab_notification){.state = (enum zab_state)state};
	out->leader = jute_i64(&in);
	out->zxid = jute_i64(&in);
	out->round = (uint64_t)jute_i64(&in);
	if (in.bad || state < ZAB_LOOKING || state > ZAB_OBSERVING)
		return false;
	if (bytes.n == 28) {
		out->peer_epoch = out->zxid >> 32;
		return true;
	}
	out->peer_epoch = jute_i64(&in);
	if (bytes.n != 40)
		out->version = jute_i32(&in);
	if (out->version > 1) {
		n = jute_i32(&in);
		if (in.bad || n < 0)
			return false;
		out->config = zk_span_of(jute_take(&in, (size_t)n), (size_t)n);
	}
	return !in.bad;
}

enum zk_err zab_notification_get(struct zk_span window, struct zab_notification *out, bool *sense,
				 size_t *used)
{
	struct jute_in in = jute_in_of(window);
	int32_t n = jute_i32(&in);
	const uint8_t *p;

	if (in.bad)
		return ZK_EAGAIN;
	if (n <= 0 || n > ZAB_NOTIFICATION_MAX)
		return ZK_EINVAL;
	p = jute_take(&in, (size_t)n);
	if (!p)
		return ZK_EAGAIN;
	*sense = notification(zk_span_of(p, (size_t)n), out);
	*used = 4 + (size_t)n;
	return ZK_EOK;
}

void zab_notification_put(struct jute_out *out, const struct zab_notification *n)
{
	jute_put_i32(out, (int32_t)(ZAB_NOTIFICATION_HEAD + n->config.n));
	jute_put_i32(out, (int32_t)n->state);
	jute_put_i64(out, n->leader);
	jute_put_i64(out, n->zxid);
	jute_put_i64(out, (int64_t)n->round);
	jute_put_i64(out, n->peer_epoch);
	jute_put_i32(out, 2);
	jute_put_i32(out, (int32_t)n->config.n);
	jute_put_raw(out, n->config);
}
