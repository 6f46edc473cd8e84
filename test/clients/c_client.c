/* SPDX-License-Identifier: Apache-2.0 */
/* Apache's C client, multi-threaded library, unmodified: every kind of call and every callback. */
#include "report.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

enum { WAIT_SECONDS = 15, EVENTS_MAX = 64, PIPELINED = 1000 };

/* Fail the case that runs; message is a format with arguments. */
#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			snprintf(failure, sizeof(failure), __VA_ARGS__);                           \
			return false;                                                              \
		}                                                                                  \
	} while (0)

#define CHECK_RC(call, want)                                                                       \
	do {                                                                                       \
		int rc_ = (call);                                                                  \
		CHECK(rc_ == (want), "line %d: %s: got %d (%s), want %d", __LINE__, #call, rc_,    \
		      zerror(rc_), (want));                                                        \
	} while (0)

static char failure[512];
static char root[64];

/* Fail the case with the message of the failed call. */
#define PASS(call)                                                                                 \
	do {                                                                                       \
		if (!(call))                                                                       \
			return false;                                                              \
	} while (0)

/* --- events and counters under one lock */

struct event {
	int type;
	char path[128];
};

struct client {
	zhandle_t *zh;
	int connects; /* how often the session was connected */
	int expired;  /* how often it was told to be expired */
	struct event events[EVENTS_MAX];
	int n_events;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void on_event(zhandle_t *zh, int type, int state, const char *path, void *context)
{
	struct client *c = context;

	(void)zh;
	pthread_mutex_lock(&lock);
	if (type == ZOO_SESSION_EVENT) {
		c->connects += state == ZOO_CONNECTED_STATE;
		c->expired += state == ZOO_EXPIRED_SESSION_STATE;
	} else if (c->n_events < EVENTS_MAX) {
		c->events[c->n_events].type = type;
		snprintf(c->events[c->n_events].path, sizeof(c->events[0].path), "%s",
			 path ? path : "");
		c->n_events++;
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* Wait until *value is at least want. */
static bool wait_for(const int *value, int want)
{
	struct timespec end;
	bool reached;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WAIT_SECONDS;
	pthread_mutex_lock(&lock);
	while (*value < want && rc == 0)
		rc = pthread_cond_timedwait(&changed, &lock, &end);
	reached = *value >= want;
	pthread_mutex_unlock(&lock);
	return reached;
}

/* The n-th event of this client has this type and path. */
static bool event_is(struct client *c, int n, int type, const char *path)
{
	CHECK(wait_for(&c->n_events, n + 1), "event %d for %s did not come", n, path);
	pthread_mutex_lock(&lock);
	bool same = c->events[n].type == type && strcmp(c->events[n].path, path) == 0;
	pthread_mutex_unlock(&lock);
	CHECK(same, "event %d is of type %d for %s, not of type %d for %s", n, c->events[n].type,
	      c->events[n].path, type, path);
	return true;
}

static bool client_open(struct client *c, const clientid_t *id)
{
	memset(c, 0, sizeof(*c));
	c->zh = zookeeper_init(report_env("ZK_CONNECT"), on_event, 10000, id, c, 0);
	CHECK(c->zh != NULL, "zookeeper_init: %s", strerror(errno));
	CHECK(wait_for(&c->connects, 1), "no connection");
	return true;
}

static const char *node(const char *name)
{
	static _Thread_local char paths[8][128];
	static _Thread_local int turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
	return path;
}

static int make(struct client *c, const char *path, const char *data, int flags)
{
	return zoo_create(c->zh, path, data, data ? (int)strlen(data) : -1, &ZOO_OPEN_ACL_UNSAFE,
			  flags, NULL, 0);
}

/* --- cases */

static bool create_get_set_delete(struct client *c, struct client *other)
{
	char name[128], data[64];
	struct Stat stat, set;
	int length;

	(void)other;
	CHECK_RC(zoo_create(c->zh, node("a"), "first", 5, &ZOO_OPEN_ACL_UNSAFE, 0, name,
			    sizeof(name)),
		 ZOK);
	CHECK(strcmp(name, node("a")) == 0, "the created path is %s", name);
	CHECK_RC(make(c, node("a"), "again", 0), ZNODEEXISTS);
	CHECK_RC(make(c, node("x/y"), "", 0), ZNONODE);
	length = sizeof(data);
	CHECK_RC(zoo_get(c->zh, node("a"), 0, data, &length, &stat), ZOK);
	CHECK(length == 5 && memcmp(data, "first", 5) == 0, "other data of %d bytes", length);
	CHECK(stat.version == 0 && stat.dataLength == 5 && stat.czxid == stat.mzxid, "bad Stat");
	CHECK_RC(zoo_set2(c->zh, node("a"), "second", 6, 0, &set), ZOK);
	CHECK(set.version == 1 && set.mzxid > stat.mzxid && set.czxid == stat.czxid, "bad Stat");
	CHECK_RC(zoo_set(c->zh, node("a"), "third", 5, 0), ZBADVERSION);
	CHECK_RC(zoo_exists(c->zh, node("a"), 0, &stat), ZOK);
	CHECK(stat.mzxid == set.mzxid && stat.version == 1, "exists shows another Stat");
	CHECK_RC(zoo_exists(c->zh, node("none"), 0, &stat), ZNONODE);
	CHECK_RC(zoo_set(c->zh, node("a"), NULL, -1, -1), ZOK);
	length = sizeof(data);
	CHECK_RC(zoo_get(c->zh, node("a"), 0, data, &length, NULL), ZOK);
	CHECK(length == -1, "null data came back with length %d", length);
	CHECK_RC(zoo_set(c->zh, node("a"), "", 0, -1), ZOK);
	length = sizeof(data);
	CHECK_RC(zoo_get(c->zh, node("a"), 0, data, &length, NULL), ZOK);
	CHECK(length == 0, "empty data came back with length %d", length);
	CHECK_RC(zoo_delete(c->zh, node("a"), 9), ZBADVERSION);
	CHECK_RC(zoo_delete(c->zh, node("a"), 3), ZOK);
	CHECK_RC(zoo_delete(c->zh, node("a"), -1), ZNONODE);
	return true;
}

static bool create_modes(struct client *c, struct client *other)
{
	char name[128];
	struct Stat stat;

	(void)other;
	CHECK_RC(zoo_create2(c->zh, node("modes"), "12", 2, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT,
			     name, sizeof(name), &stat),
		 ZOK);
	CHECK(stat.dataLength == 2 && stat.ephemeralOwner == 0, "bad Stat of a persistent node");
	CHECK_RC(zoo_create2(c->zh, node("modes/e"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL,
			     name, sizeof(name), &stat),
		 ZOK);
	CHECK(stat.ephemeralOwner == zoo_client_id(c->zh)->client_id, "bad owner");
	CHECK_RC(zoo_create2(c->zh, node("modes/c"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER,
			     name, sizeof(name), &stat),
		 ZOK);
	CHECK(stat.ephemeralOwner == 0, "bad owner of a container");
	CHECK_RC(zoo_create(c->zh, node("modes/s"), "", 0, &ZOO_OPEN_ACL_UNSAFE,
			    ZOO_PERSISTENT_SEQUENTIAL, name, sizeof(name)),
		 ZOK);
	CHECK(strcmp(name, node("modes/s0000000002")) == 0, "sequential name %s", name);
	CHECK_RC(zoo_create(c->zh, node("modes/s"), "", 0, &ZOO_OPEN_ACL_UNSAFE,
			    ZOO_EPHEMERAL_SEQUENTIAL, name, sizeof(name)),
		 ZOK);
	CHECK(strcmp(name, node("modes/s0000000003")) == 0, "sequential name %s", name);
	CHECK_RC(make(c, node("modes/e/x"), "", 0), ZNOCHILDRENFOREPHEMERALS);
	CHECK_RC(zoo_delete(c->zh, node("modes"), -1), ZNOTEMPTY);
	return true;
}

static bool children_and_watches(struct client *c, struct client *other)
{
	struct String_vector names;
	struct Stat stat;
	char data[8];
	int n = c->n_events, length = sizeof(data);

	CHECK_RC(make(c, node("kids"), "", 0), ZOK);
	CHECK_RC(make(c, node("kids/a"), "", 0), ZOK);
	CHECK_RC(make(c, node("kids/b"), "", 0), ZOK);
	CHECK_RC(zoo_wget_children2(c->zh, node("kids"), on_event, c, &names, &stat), ZOK);
	CHECK(names.count == 2 && stat.numChildren == 2, "%d names", names.count);
	CHECK(strcmp(names.data[0], names.data[1]) != 0, "the same name twice");
	deallocate_String_vector(&names);
	CHECK_RC(zoo_wexists(c->zh, node("kids/c"), on_event, c, &stat), ZNONODE);
	CHECK_RC(make(other, node("kids/c"), "", 0), ZOK);
	PASS(event_is(c, n, ZOO_CREATED_EVENT, node("kids/c")));
	PASS(event_is(c, n + 1, ZOO_CHILD_EVENT, node("kids")));
	CHECK_RC(zoo_wget(c->zh, node("kids/c"), on_event, c, data, &length, &stat), ZOK);
	CHECK_RC(zoo_set(other->zh, node("kids/c"), "x", 1, -1), ZOK);
	PASS(event_is(c, n + 2, ZOO_CHANGED_EVENT, node("kids/c")));
	CHECK_RC(zoo_get_children(c->zh, node("kids"), 1, &names), ZOK);
	CHECK(names.count == 3, "%d names", names.count);
	deallocate_String_vector(&names);
	CHECK_RC(zoo_wexists(c->zh, node("kids/c"), on_event, c, &stat), ZOK);
	CHECK_RC(zoo_delete(other->zh, node("kids/c"), -1), ZOK);
	PASS(event_is(c, n + 3, ZOO_DELETED_EVENT, node("kids/c")));
	PASS(event_is(c, n + 4, ZOO_CHILD_EVENT, node("kids")));
	return true;
}

static bool remove_watches(struct client *c, struct client *other)
{
	struct Stat stat;
	int n = c->n_events;

	CHECK_RC(make(c, node("unwatched"), "", 0), ZOK);
	CHECK_RC(zoo_wexists(c->zh, node("unwatched"), on_event, c, &stat), ZOK);
	CHECK_RC(zoo_remove_watches(c->zh, node("unwatched"), ZWATCHTYPE_DATA, on_event, c, 0),
		 ZOK);
	CHECK_RC(zoo_remove_watches(c->zh, node("unwatched"), ZWATCHTYPE_DATA, on_event, c, 0),
		 ZNOWATCHER);
	CHECK_RC(zoo_set(other->zh, node("unwatched"), "x", 1, -1), ZOK);
	/* A later event of the same connection shows that none is on its way. */
	CHECK_RC(zoo_wexists(c->zh, node("later"), on_event, c, &stat), ZNONODE);
	CHECK_RC(make(other, node("later"), "", 0), ZOK);
	while (n < EVENTS_MAX && wait_for(&c->n_events, n + 1) &&
	       c->events[n].type != ZOO_CREATED_EVENT) {
		CHECK(c->events[n].type != ZOO_CHANGED_EVENT, "a removed watch fired");
		n++;
	}
	CHECK(n < c->n_events, "no event for a new node");
	return true;
}

struct multi_case {
	struct Stat stat;
	char a[128], s[128];
};

static bool multi(struct client *c, struct client *other)
{
	static const int failed[] = {ZOK, ZBADVERSION, ZRUNTIMEINCONSISTENCY};
	struct multi_case m;
	zoo_op_result_t results[5];
	zoo_op_t ops[5];
	struct Stat stat;
	int i;

	(void)other;
	zoo_create_op_init(&ops[0], node("m"), "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, m.a, sizeof(m.a));
	zoo_create_op_init(&ops[1], node("m/s"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, m.s,
			   sizeof(m.s));
	zoo_set_op_init(&ops[2], node("m"), "22", 2, 0, &m.stat);
	zoo_check_op_init(&ops[3], node("m"), 1);
	zoo_delete_op_init(&ops[4], node("m/s0000000000"), -1);
	CHECK_RC(zoo_multi(c->zh, 5, ops, results), ZOK);
	for (i = 0; i < 5; i++)
		CHECK(results[i].err == ZOK, "result %d is %d", i, results[i].err);
	CHECK(strcmp(m.a, node("m")) == 0 && strcmp(m.s, node("m/s0000000000")) == 0,
	      "paths %s and %s", m.a, m.s);
	CHECK(m.stat.version == 1 && m.stat.dataLength == 2, "bad Stat");

	zoo_create_op_init(&ops[0], node("m/x"), "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
	zoo_set_op_init(&ops[1], node("m"), "3", 1, 7, NULL);
	zoo_delete_op_init(&ops[2], node("m"), -1);
	CHECK_RC(zoo_multi(c->zh, 3, ops, results), ZBADVERSION);
	for (i = 0; i < 3; i++)
		CHECK(results[i].err == failed[i], "result %d is %d", i, results[i].err);
	CHECK_RC(zoo_exists(c->zh, node("m/x"), 0, &stat), ZNONODE);
	return true;
}

static bool access_control(struct client *c, struct client *other)
{
	struct client owner;
	struct ACL_vector acl;
	struct Stat stat;
	char data[8];
	int length = sizeof(data);

	(void)c;
	PASS(client_open(&owner, NULL));
	CHECK_RC(zoo_add_auth(owner.zh, "digest", "carol:pw", 8, NULL, NULL), ZOK);
	CHECK_RC(zoo_create(owner.zh, node("acl"), "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK);
	CHECK_RC(zoo_get(other->zh, node("acl"), 0, data, &length, NULL), ZNOAUTH);
	CHECK_RC(zoo_set(other->zh, node("acl"), "", 0, -1), ZNOAUTH);
	CHECK_RC(make(other, node("acl/x"), "", 0), ZNOAUTH);
	CHECK_RC(zoo_get_acl(owner.zh, node("acl"), &acl, &stat), ZOK);
	CHECK(acl.count == 1 && acl.data[0].perms == ZOO_PERM_ALL &&
		      strcmp(acl.data[0].id.scheme, "digest") == 0 &&
		      strncmp(acl.data[0].id.id, "carol:", 6) == 0,
	      "another ACL");
	deallocate_ACL_vector(&acl);
	CHECK_RC(zoo_set_acl(owner.zh, node("acl"), 3, &ZOO_READ_ACL_UNSAFE), ZBADVERSION);
	CHECK_RC(zoo_set_acl(owner.zh, node("acl"), 0, &ZOO_READ_ACL_UNSAFE), ZOK);
	length = sizeof(data);
	CHECK_RC(zoo_get(other->zh, node("acl"), 0, data, &length, &stat), ZOK);
	CHECK(length == 1 && stat.aversion == 1, "length %d, aversion %d", length, stat.aversion);
	CHECK_RC(zoo_set(owner.zh, node("acl"), "", 0, -1), ZNOAUTH);
	CHECK_RC(zookeeper_close(owner.zh), ZOK);
	return true;
}

static bool ephemeral_goes_with_its_session(struct client *c, struct client *other)
{
	struct client owner;
	struct Stat stat;
	int n;

	(void)other;
	PASS(client_open(&owner, NULL));
	CHECK_RC(make(&owner, node("eph"), "", ZOO_EPHEMERAL), ZOK);
	n = c->n_events;
	CHECK_RC(zoo_wexists(c->zh, node("eph"), on_event, c, &stat), ZOK);
	CHECK(stat.ephemeralOwner == zoo_client_id(owner.zh)->client_id, "bad owner");
	CHECK_RC(zookeeper_close(owner.zh), ZOK);
	PASS(event_is(c, n, ZOO_DELETED_EVENT, node("eph")));
	CHECK_RC(zoo_exists(c->zh, node("eph"), 0, &stat), ZNONODE);
	return true;
}

/* A process that holds a session and an ephemeral node until it is killed. */
static struct {
	pid_t pid;
	clientid_t id;
	char path[64];
} held;

static bool holder_start(void)
{
	struct client c;
	int fds[2];

	snprintf(held.path, sizeof(held.path), "/c-%d-held", (int)getpid());
	CHECK(pipe(fds) == 0, "pipe: %s", strerror(errno));
	held.pid = fork();
	CHECK(held.pid >= 0, "fork: %s", strerror(errno));
	if (held.pid == 0) {
		alarm(60);
		if (!client_open(&c, NULL) || make(&c, held.path, "", ZOO_EPHEMERAL) != ZOK ||
		    write(fds[1], zoo_client_id(c.zh), sizeof(clientid_t)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	CHECK(read(fds[0], &held.id, sizeof(held.id)) == (ssize_t)sizeof(held.id),
	      "the process that holds a session did not start");
	close(fds[0]);
	return true;
}

static bool session_of_a_killed_process(struct client *c, struct client *other)
{
	struct client heir, late;
	struct Stat stat;
	int n = c->n_events;

	(void)other;
	CHECK(kill(held.pid, SIGKILL) == 0, "kill: %s", strerror(errno));
	waitpid(held.pid, NULL, 0);
	PASS(client_open(&heir, &held.id));
	CHECK(zoo_client_id(heir.zh)->client_id == held.id.client_id, "another session");
	CHECK_RC(zoo_wexists(c->zh, held.path, on_event, c, &stat), ZOK);
	CHECK(stat.ephemeralOwner == held.id.client_id, "another owner");
	CHECK_RC(zookeeper_close(heir.zh), ZOK);
	PASS(event_is(c, n, ZOO_DELETED_EVENT, held.path));
	/* The session is closed, so one more client with its id is told that it expired. */
	memset(&late, 0, sizeof(late));
	late.zh = zookeeper_init(report_env("ZK_CONNECT"), on_event, 10000, &held.id, &late, 0);
	CHECK(late.zh != NULL, "zookeeper_init: %s", strerror(errno));
	CHECK(wait_for(&late.expired, 1), "the closed session was not told to be expired");
	CHECK(late.connects == 0, "the closed session was accepted");
	zookeeper_close(late.zh);
	return true;
}

/* --- many requests in flight */

struct gather {
	int done, bad;
	int next;
};

static void on_data(int rc, const char *value, int length, const struct Stat *stat,
		    const void *context)
{
	struct gather *g = (struct gather *)(uintptr_t)context;
	char want[16];

	pthread_mutex_lock(&lock);
	/* Answers come in the order of the requests: a set to n, then two gets. */
	snprintf(want, sizeof(want), "%d", g->next);
	if (rc != ZOK || length != (int)strlen(want) || memcmp(value, want, (size_t)length) != 0 ||
	    stat->version != g->next)
		g->bad++;
	if (g->done % 2 == 1)
		g->next++;
	g->done++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void on_stat(int rc, const struct Stat *stat, const void *context)
{
	struct gather *g = (struct gather *)(uintptr_t)context;

	pthread_mutex_lock(&lock);
	if (rc != ZOK || stat->version != g->next)
		g->bad++;
	pthread_mutex_unlock(&lock);
}

static bool pipelined_sets_and_gets(struct client *c, struct client *other)
{
	struct gather g = {.next = 1};
	char text[16];
	int i;

	(void)other;
	CHECK_RC(make(c, node("pipe"), "0", 0), ZOK);
	for (i = 1; i <= PIPELINED / 2; i++) {
		snprintf(text, sizeof(text), "%d", i);
		CHECK_RC(zoo_aset(c->zh, node("pipe"), text, (int)strlen(text), -1, on_stat, &g),
			 ZOK);
		CHECK_RC(zoo_aget(c->zh, node("pipe"), 0, on_data, &g), ZOK);
		CHECK_RC(zoo_aget(c->zh, node("pipe"), 0, on_data, &g), ZOK);
	}
	CHECK(wait_for(&g.done, PIPELINED), "%d of %d answers", g.done, PIPELINED);
	CHECK(g.bad == 0, "%d answers were wrong or out of order", g.bad);
	return true;
}

static void on_string(int rc, const char *value, const void *context)
{
	struct gather *g = (struct gather *)(uintptr_t)context;

	pthread_mutex_lock(&lock);
	if (rc != ZOK || value == NULL || strcmp(value, root) != 0)
		g->bad++;
	g->done++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static bool async_sync(struct client *c, struct client *other)
{
	struct gather g = {0};
	int i;

	(void)other;
	for (i = 0; i < 100; i++)
		CHECK_RC(zoo_async(c->zh, root, on_string, &g), ZOK);
	CHECK(wait_for(&g.done, 100), "%d of 100 answers", g.done);
	CHECK(g.bad == 0, "%d answers were wrong", g.bad);
	return true;
}

static bool large_data(struct client *c, struct client *other)
{
	enum { BYTES = 1000000 };
	char *sent = malloc(BYTES), *got = malloc(BYTES);
	int length = BYTES;
	bool same;

	(void)other;
	CHECK(sent && got, "no memory");
	for (int i = 0; i < BYTES; i++)
		sent[i] = (char)(i * 31 + i / 251);
	CHECK_RC(zoo_create(c->zh, node("large"), sent, BYTES, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0),
		 ZOK);
	CHECK_RC(zoo_get(c->zh, node("large"), 0, got, &length, NULL), ZOK);
	same = length == BYTES && memcmp(sent, got, BYTES) == 0;
	free(sent);
	free(got);
	CHECK(same, "other data came back, %d bytes", length);
	CHECK_RC(zoo_delete(c->zh, node("large"), -1), ZOK);
	return true;
}

/* The connection is cut; the client comes back by itself with its session and its watches. */
static bool reconnect_sets_watches_again(struct client *c, struct client *other)
{
	struct client cut;
	struct Stat stat;
	struct String_vector names;
	char command[256], data[8];
	int length = sizeof(data);
	clientid_t id;
	int i;

	(void)c;
	PASS(client_open(&cut, NULL));
	id = *zoo_client_id(cut.zh);
	CHECK_RC(make(&cut, node("re"), "", 0), ZOK);
	CHECK_RC(make(&cut, node("re/e"), "", ZOO_EPHEMERAL), ZOK);
	CHECK_RC(zoo_wget(cut.zh, node("re"), on_event, &cut, data, &length, NULL), ZOK);
	CHECK_RC(zoo_wget_children(cut.zh, node("re"), on_event, &cut, &names), ZOK);
	deallocate_String_vector(&names);
	CHECK_RC(zoo_wexists(cut.zh, node("re/new"), on_event, &cut, &stat), ZNONODE);
	/* Every connection of this program is cut; all three clients must come back. */
	snprintf(command, sizeof(command), "ss -K -t state established dport = :%s >/dev/null 2>&1",
		 report_env("ZK_PORT"));
	CHECK(system(command) == 0, "ss -K failed");
	CHECK(wait_for(&cut.connects, 2), "the client did not come back");
	CHECK(zoo_client_id(cut.zh)->client_id == id.client_id, "another session");
	for (i = 0; i < 100 && zoo_exists(other->zh, root, 0, &stat) != ZOK; i++)
		usleep(50000);
	CHECK(i < 100, "the other client did not come back");
	CHECK_RC(zoo_exists(cut.zh, node("re/e"), 0, &stat), ZOK);
	CHECK_RC(zoo_set(other->zh, node("re"), "1", 1, -1), ZOK);
	PASS(event_is(&cut, 0, ZOO_CHANGED_EVENT, node("re")));
	CHECK_RC(make(other, node("re/new"), "", 0), ZOK);
	PASS(event_is(&cut, 1, ZOO_CREATED_EVENT, node("re/new")));
	PASS(event_is(&cut, 2, ZOO_CHILD_EVENT, node("re")));
	CHECK_RC(zookeeper_close(cut.zh), ZOK);
	return true;
}

int main(void)
{
	static const struct {
		const char *name;
		bool (*run)(struct client *c, struct client *other);
	} cases[] = {
#define CASE(name) {#name, name}
		CASE(create_get_set_delete),
		CASE(create_modes),
		CASE(children_and_watches),
		CASE(remove_watches),
		CASE(multi),
		CASE(access_control),
		CASE(ephemeral_goes_with_its_session),
		CASE(session_of_a_killed_process),
		CASE(pipelined_sets_and_gets),
		CASE(async_sync),
		CASE(large_data),
		CASE(reconnect_sets_watches_again),
	};
	static struct client c, other;

	zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
	zoo_deterministic_conn_order(1);
	snprintf(root, sizeof(root), "/c-%d", (int)getpid());
	if (!holder_start() || !client_open(&c, NULL) || !client_open(&other, NULL) ||
	    make(&c, root, "", 0) != ZOK) {
		report_fail("connect: %s", failure);
		return 1;
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].run(&c, &other))
			report_ok("%s", cases[i].name);
		else
			report_fail("%s: %s", cases[i].name, failure);
	}
	zookeeper_close(c.zh);
	zookeeper_close(other.zh);
	return report_failures == 0 ? 0 : 1;
}
