// SPDX-License-Identifier: Apache-2.0
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.apache.curator.framework.recipes.cache.PathChildrenCacheEvent.Type.CHILD_ADDED;
import static org.apache.curator.framework.recipes.cache.PathChildrenCacheEvent.Type.CHILD_REMOVED;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** Recipes of Apache Curator: each one is a promise that the server's ordering keeps. */
final class CuratorRecipes {
	private static final String CONNECT = System.getenv("ZK_CONNECT");
	private static final String NAMESPACE = "curator-" + ProcessHandle.current().pid();
	private static final byte[] NOTHING = {};

	private interface Numbered {
		void run(int n) throws Exception;
	}

	private static CuratorFramework client() throws Exception {
		CuratorFramework c = CuratorFrameworkFactory.builder()
					     .connectString(CONNECT)
					     .namespace(NAMESPACE)
					     .sessionTimeoutMs(15000)
					     .connectionTimeoutMs(10000)
					     .retryPolicy(new RetryNTimes(20, 100))
					     .build();

		c.start();
		Report.check(c.blockUntilConnected(15, TimeUnit.SECONDS), "no connection");
		return c;
	}

	private static List<CuratorFramework> clients(int count) throws Exception {
		List<CuratorFramework> out = new ArrayList<>();

		for (int i = 0; i < count; i++)
			out.add(client());
		return out;
	}

	private static void close(Collection<CuratorFramework> all) {
		for (CuratorFramework c : all)
			c.close();
	}

	/** Run body(0) .. body(count - 1) at the same time. */
	private static void together(int count, int seconds, Numbered body) throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(count);
		List<Future<?>> all = new ArrayList<>();

		for (int i = 0; i < count; i++) {
			int n = i;

			all.add(pool.submit(() -> {
				body.run(n);
				return null;
			}));
		}
		try {
			for (Future<?> f : all)
				f.get(seconds, TimeUnit.SECONDS);
		} finally {
			pool.shutdownNow();
		}
	}

	/** End the client's session on the server, as its expiry would. */
	private static void killSession(CuratorFramework c) throws Exception {
		ZooKeeper zk = c.getZookeeperClient().getZooKeeper();
		CountDownLatch connected = new CountDownLatch(1);
		Watcher watcher = (WatchedEvent event) -> {
			if (event.getState() == Watcher.Event.KeeperState.SyncConnected)
				connected.countDown();
		};
		ZooKeeper thief = new ZooKeeper(CONNECT, 10000, watcher, zk.getSessionId(),
						zk.getSessionPasswd());

		Report.check(connected.await(15, TimeUnit.SECONDS),
			     "the session was not taken over");
		thief.close();
	}

	/* A counter that is not atomic, and a detector of two threads that are inside at once. */
	private int plainCounter;
	private final AtomicInteger inside = new AtomicInteger();
	private final AtomicInteger overlaps = new AtomicInteger();

	private void mutex() throws Exception {
		List<CuratorFramework> all = clients(32);

		plainCounter = 0;
		together(all.size(), 60, n -> {
			InterProcessMutex lock = new InterProcessMutex(all.get(n), "/mutex");

			for (int i = 0; i < 10; i++) {
				Report.check(lock.acquire(50, TimeUnit.SECONDS),
					     "the lock was not given");
				try {
					if (inside.incrementAndGet() != 1)
						overlaps.incrementAndGet();
					int seen = plainCounter;
					Thread.yield();
					plainCounter = seen + 1;
					inside.decrementAndGet();
				} finally {
					lock.release();
				}
			}
		});
		Report.same(overlaps.get(), 0, "times that two held the lock");
		Report.same(plainCounter, 320, "counter");
		// A lock whose holder's session ends is given on.
		InterProcessMutex held = new InterProcessMutex(all.get(0), "/mutex");
		held.acquire();
		InterProcessMutex next = new InterProcessMutex(all.get(1), "/mutex");
		Report.check(!next.acquire(200, TimeUnit.MILLISECONDS), "two hold the lock");
		all.get(0).close();
		Report.check(next.acquire(15, TimeUnit.SECONDS), "the lock was not given on");
		next.release();
		close(all.subList(1, all.size()));
	}

	private void readWriteLock() throws Exception {
		List<CuratorFramework> all = clients(6);
		AtomicInteger readers = new AtomicInteger(), writers = new AtomicInteger();
		AtomicInteger most = new AtomicInteger(), bad = new AtomicInteger();

		together(all.size(), 60, n -> {
			InterProcessReadWriteLock lock =
				new InterProcessReadWriteLock(all.get(n), "/rw");

			for (int i = 0; i < 8; i++) {
				if (n < 2) {
					lock.writeLock().acquire();
					if (writers.incrementAndGet() != 1 || readers.get() != 0)
						bad.incrementAndGet();
					writers.decrementAndGet();
					lock.writeLock().release();
				} else {
					lock.readLock().acquire();
					most.accumulateAndGet(readers.incrementAndGet(), Math::max);
					if (writers.get() != 0)
						bad.incrementAndGet();
					Thread.sleep(2);
					readers.decrementAndGet();
					lock.readLock().release();
				}
			}
		});
		Report.same(bad.get(), 0, "times that a writer was not alone");
		Report.check(most.get() > 1, "never did two read at once");
		close(all);
	}

	private void leaderLatch() throws Exception {
		List<CuratorFramework> all = clients(5);
		List<LeaderLatch> latches = new ArrayList<>();

		for (CuratorFramework c : all) {
			LeaderLatch latch =
				new LeaderLatch(c, "/leader", "participant " + latches.size());

			latch.start();
			latches.add(latch);
		}
		for (int left = latches.size(); left > 0; left--) {
			LeaderLatch leader = leader(latches);

			Report.same(leader.getParticipants().size(), left, "participants");
			Report.same(leader.getLeader().getId(), leader.getId(), "leader");
			latches.remove(leader);
			// Every other one goes with its whole session.
			if (left % 2 == 0)
				leader.close();
			else
				all.get(Integer.parseInt(leader.getId().split(" ")[1])).close();
		}
		close(all);
	}

	/** Wait until one of them leads; more than one never may. */
	private static LeaderLatch leader(List<LeaderLatch> latches) throws Exception {
		List<LeaderLatch> found = new ArrayList<>();

		Report.until("somebody leads", 15, () -> {
			found.clear();
			latches.stream().filter(LeaderLatch::hasLeadership).forEach(found::add);
			return !found.isEmpty();
		});
		Report.same(found.size(), 1, "leaders");
		return found.get(0);
	}

	private void persistentNode() throws Exception {
		CuratorFramework owner = client(), other = client();
		byte[] data = "still here".getBytes(UTF_8);

		try (PersistentNode node = new PersistentNode(owner, CreateMode.EPHEMERAL, false,
							      "/persistent", data)) {
			node.start();
			Report.check(node.waitForInitialCreate(15, TimeUnit.SECONDS), "no node");
			for (int i = 0; i < 2; i++) {
				Stat before = other.checkExists().forPath("/persistent");

				killSession(owner);
				Report.until("the node is back in another session", 20, () -> {
					Stat now = other.checkExists().forPath("/persistent");

					return now != null && now.getEphemeralOwner() !=
								      before.getEphemeralOwner();
				});
				Report.same(
					new String(other.getData().forPath("/persistent"), UTF_8),
					"still here", "data");
			}
			other.delete().forPath("/persistent");
			Report.until("a deleted node is back", 15,
				     () -> other.checkExists().forPath("/persistent") != null);
		}
		Report.until("the closed node is gone", 15,
			     () -> other.checkExists().forPath("/persistent") == null);
		close(List.of(owner, other));
	}

	private void curatorCache() throws Exception {
		CuratorFramework c = client(), other = client();
		Map<String, String> seen = new ConcurrentHashMap<>();
		AtomicInteger created = new AtomicInteger(), deleted = new AtomicInteger();

		other.create().creatingParentsIfNeeded().forPath("/cache/old",
								 "old".getBytes(UTF_8));
		try (CuratorCache cache = CuratorCache.build(c, "/cache")) {
			CountDownLatch ready = new CountDownLatch(1);

			cache.listenable().addListener(
				CuratorCacheListener.builder()
					.forCreates(node -> {
						created.incrementAndGet();
						seen.put(node.getPath(), text(node));
					})
					.forChanges(
						(old, node) -> seen.put(node.getPath(), text(node)))
					.forDeletes(node -> {
						deleted.incrementAndGet();
						seen.remove(node.getPath());
					})
					.forInitialized(ready::countDown)
					.build());
			cache.start();
			Report.check(ready.await(15, TimeUnit.SECONDS),
				     "the cache was not initialized");
			for (int i = 0; i < 200; i++)
				other.create().forPath("/cache/n" + i, "0".getBytes(UTF_8));
			for (int i = 0; i < 200; i++)
				other.setData().forPath("/cache/n" + i,
							Integer.toString(i).getBytes(UTF_8));
			// The cache must have read a node before it goes, or it was never told.
			Report.until("the cache holds 202 nodes", 20, () -> seen.size() == 202);
			for (int i = 0; i < 100; i++)
				other.delete().forPath("/cache/n" + i);
			other.create().forPath("/cache/n100/deep", "deep".getBytes(UTF_8));
			// /cache itself, old, 100 that are left, and the deep one
			Report.until("the cache holds 103 nodes and the last change", 20, () -> {
				return seen.size() == 103 && seen.containsKey("/cache/n100/deep") &&
					"199".equals(seen.get("/cache/n199"));
			});
			Report.same(seen.get("/cache/old"), "old", "data of the old node");
			for (int i = 100; i < 200; i++)
				Report.same(seen.get("/cache/n" + i), Integer.toString(i),
					    "data of n" + i);
			Report.same(created.get(), 203, "creates that were told");
			Report.same(deleted.get(), 100, "deletes that were told");
			Report.same(cache.size(), 103, "size of the cache");
		}
		close(List.of(c, other));
	}

	private static String text(ChildData node) {
		return node.getData() == null ? "null" : new String(node.getData(), UTF_8);
	}

	/* The two older caches are set with one-time watches, so they test more of the server. */
	@SuppressWarnings("deprecation")
	private void olderCaches() throws Exception {
		CuratorFramework c = client(), other = client();
		Set<String> children = ConcurrentHashMap.newKeySet();

		other.create().creatingParentsIfNeeded().forPath("/older/a", NOTHING);
		try (var list = new org.apache.curator.framework.recipes.cache.PathChildrenCache(
			     c, "/older", true);
		     var tree = new org.apache.curator.framework.recipes.cache.TreeCache(
			     c, "/older")) {
			list.getListenable().addListener((client, event) -> {
				if (event.getData() == null)
					return;
				String path = event.getData().getPath();

				if (event.getType() == CHILD_ADDED)
					children.add(path);
				else if (event.getType() == CHILD_REMOVED)
					children.remove(path);
			});
			list.start();
			tree.start();
			for (int i = 0; i < 50; i++)
				other.create().forPath("/older/n" + i, NOTHING);
			other.create().forPath("/older/a/b", NOTHING);
			other.setData().forPath("/older/a/b", "new".getBytes(UTF_8));
			for (int i = 0; i < 25; i++)
				other.delete().forPath("/older/n" + i);
			Report.until(
				"PathChildrenCache holds 26 children", 20,
				() -> children.size() == 26 && list.getCurrentData().size() == 26);
			Report.until("TreeCache holds the new data", 20, () -> {
				ChildData deep = tree.getCurrentData("/older/a/b");

				return deep != null && text(deep).equals("new");
			});
			Report.until("TreeCache holds 26 children", 20,
				     () -> tree.getCurrentChildren("/older").size() == 26);
			Report.same(new TreeSet<>(tree.getCurrentChildren("/older").keySet()),
				    new TreeSet<>(other.getChildren().forPath("/older")),
				    "children");
		}
		close(List.of(c, other));
	}

	/**
	 * Producers and consumers; the backlog is bounded, for a consumer lists it for every item.
	 */
	private void queue() throws Exception {
		final int items = 10000, producers = 3, consumers = 3, backlog = 60;
		List<CuratorFramework> all = clients(producers + consumers);
		AtomicInteger produced = new AtomicInteger(), consumed = new AtomicInteger();
		Map<String, Integer> got = new ConcurrentHashMap<>();
		Semaphore room = new Semaphore(backlog);

		together(all.size(), 120, n -> {
			SimpleDistributedQueue queue =
				new SimpleDistributedQueue(all.get(n), "/queue");

			if (n < producers) {
				int item;

				while ((item = produced.getAndIncrement()) < items) {
					room.acquire();
					Report.check(queue.offer(("item " + item).getBytes(UTF_8)),
						     "offer");
				}
				return;
			}
			while (consumed.get() < items) {
				byte[] data = queue.poll(1, TimeUnit.SECONDS);

				if (data == null)
					continue;
				got.merge(new String(data, UTF_8), 1, Integer::sum);
				consumed.incrementAndGet();
				room.release();
			}
		});
		long doubled = got.values().stream().filter(times -> times > 1).count();
		Report.same(doubled, 0L, "items that came twice");
		for (int i = 0; i < items; i++)
			Report.check(got.containsKey("item " + i), "item " + i + " was lost");
		Report.same(got.size(), items, "different items");
		Report.same(all.get(0).getChildren().forPath("/queue"), List.of(), "items left");
		close(all);
	}

	private void semaphore() throws Exception {
		List<CuratorFramework> all = clients(8);
		AtomicInteger holders = new AtomicInteger(), most = new AtomicInteger();

		together(all.size(), 60, n -> {
			InterProcessSemaphoreV2 s =
				new InterProcessSemaphoreV2(all.get(n), "/sem", 3);

			for (int i = 0; i < 6; i++) {
				Lease lease = s.acquire(40, TimeUnit.SECONDS);

				Report.check(lease != null, "no lease");
				most.accumulateAndGet(holders.incrementAndGet(), Math::max);
				Thread.sleep(2);
				holders.decrementAndGet();
				s.returnLease(lease);
			}
		});
		Report.check(most.get() <= 3, most + " leases of 3 were out at once");
		Report.check(most.get() > 1, "never were two leases out at once");
		close(all);
	}

	private void atomicLong() throws Exception {
		List<CuratorFramework> all = clients(4);

		together(all.size(), 60, n -> {
			DistributedAtomicLong value = new DistributedAtomicLong(
				all.get(n), "/long", new RetryNTimes(1000, 1));

			for (int i = 0; i < 50; i++) {
				AtomicValue<Long> now = value.increment();

				Report.check(now.succeeded(), "an increment did not succeed");
				Report.same(now.postValue(), now.preValue() + 1,
					    "value after the increment");
			}
		});
		Report.same(new DistributedAtomicLong(all.get(0), "/long", new RetryNTimes(1, 1))
				    .get()
				    .postValue(),
			    200L, "value");
		close(all);
	}

	private void barriers() throws Exception {
		List<CuratorFramework> all = clients(5);
		DistributedBarrier gate = new DistributedBarrier(all.get(0), "/barrier");
		AtomicInteger passed = new AtomicInteger();
		AtomicInteger in = new AtomicInteger(), out = new AtomicInteger(),
			      bad = new AtomicInteger();

		gate.setBarrier();
		together(all.size(), 40, n -> {
			if (n == 0) {
				Thread.sleep(300);
				Report.same(passed.get(), 0, "who passed the closed barrier");
				gate.removeBarrier();
				return;
			}
			Report.check(new DistributedBarrier(all.get(n), "/barrier")
					     .waitOnBarrier(20, TimeUnit.SECONDS),
				     "the barrier did not open");
			passed.incrementAndGet();
		});
		Report.same(passed.get(), all.size() - 1, "who passed the barrier");

		together(all.size(), 40, n -> {
			DistributedDoubleBarrier both =
				new DistributedDoubleBarrier(all.get(n), "/double", all.size());

			in.incrementAndGet();
			Report.check(both.enter(20, TimeUnit.SECONDS), "enter");
			if (in.get() != all.size())
				bad.incrementAndGet();
			out.incrementAndGet();
			Report.check(both.leave(20, TimeUnit.SECONDS), "leave");
			if (out.get() != all.size())
				bad.incrementAndGet();
		});
		Report.same(bad.get(), 0, "who went through too early");
		close(all);
	}

	public static void main(String[] args) throws Exception {
		Report report = new Report(args.length > 0 ? args[0] : null);
		CuratorRecipes t = new CuratorRecipes();

		report.run("mutex", t::mutex);
		report.run("readWriteLock", t::readWriteLock);
		report.run("leaderLatch", t::leaderLatch);
		report.run("persistentNode", t::persistentNode);
		report.run("curatorCache", t::curatorCache);
		report.run("olderCaches", t::olderCaches);
		report.run("queue", t::queue);
		report.run("semaphore", t::semaphore);
		report.run("atomicLong", t::atomicLong);
		report.run("barriers", t::barriers);
		System.exit(report.status());
	}
}
