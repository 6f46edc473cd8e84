// SPDX-License-Identifier: Apache-2.0
import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.recipes.shared.VersionedValue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;

/** Curator below a namespace, and what is left of its recipes when every connection is cut. */
final class CuratorCut {
	private static final String CONNECT = System.getenv("ZK_CONNECT");
	private static final String ROOT = "cut-" + ProcessHandle.current().pid();

	private static CuratorFramework client(String namespace) throws Exception {
		CuratorFramework c = CuratorFrameworkFactory.builder()
					     .connectString(CONNECT)
					     .namespace(namespace)
					     .sessionTimeoutMs(15000)
					     .connectionTimeoutMs(10000)
					     .retryPolicy(new RetryNTimes(100, 100))
					     .build();

		c.start();
		Report.check(c.blockUntilConnected(15, TimeUnit.SECONDS), "no connection");
		return c;
	}

	/** Cut every connection to the server, from the outside. */
	private static void cut() throws Exception {
		Process p = new ProcessBuilder("ss", "-K", "-t", "state", "established", "dport", "=",
					       ":" + System.getenv("ZK_PORT"))
				    .redirectErrorStream(true)
				    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
				    .start();

		Report.same(p.waitFor(), 0, "status of ss");
	}

	private static byte[] bytes(String text) {
		return text.getBytes(UTF_8);
	}

	private void namespaceAndTransactions() throws Exception {
		CuratorFramework c = client(ROOT + "/inner"), all = client(null);

		c.create().creatingParentsIfNeeded().forPath("/tx/a", bytes("1"));
		Report.check(all.checkExists().forPath("/" + ROOT + "/inner/tx/a") != null,
			     "the node is not below the namespace");
		List<CuratorTransactionResult> got = c.transaction().forOperations(
			c.transactionOp().check().withVersion(0).forPath("/tx/a"),
			c.transactionOp().setData().forPath("/tx/a", bytes("2")),
			c.transactionOp()
				.create()
				.withMode(CreateMode.PERSISTENT_SEQUENTIAL)
				.forPath("/tx/s-", bytes("")),
			c.transactionOp().create().forPath("/tx/b"),
			c.transactionOp().delete().forPath("/tx/b"));
		Report.same(got.size(), 5, "results");
		Report.same(got.get(1).getResultStat().getVersion(), 1, "version");
		Report.same(got.get(2).getResultPath(), "/tx/s-0000000001", "name");
		Report.raises(KeeperException.BadVersionException.class,
			      ()
				      -> c.transaction().forOperations(
					      c.transactionOp().create().forPath("/tx/no"),
					      c.transactionOp().check().withVersion(7).forPath(
						      "/tx/a")));
		Report.check(c.checkExists().forPath("/tx/no") == null,
			     "a part of the failed transaction was done");
		c.close();
		all.close();
	}

	private void cacheIsCut() throws Exception {
		CuratorFramework c = client(ROOT), other = client(ROOT);
		Map<String, String> seen = new ConcurrentHashMap<>();
		long session = c.getZookeeperClient().getZooKeeper().getSessionId();

		other.create().creatingParentsIfNeeded().forPath("/cache/0", bytes("0"));
		try (CuratorCache cache = CuratorCache.build(c, "/cache")) {
			CountDownLatch ready = new CountDownLatch(1);

			cache.listenable().addListener(
				CuratorCacheListener.builder()
					.forCreates(n -> seen.put(n.getPath(), new String(n.getData(), UTF_8)))
					.forChanges((old, n) -> seen.put(n.getPath(), new String(n.getData(), UTF_8)))
					.forDeletes(n -> seen.remove(n.getPath()))
					.forInitialized(ready::countDown)
					.build());
			cache.start();
			Report.check(ready.await(15, TimeUnit.SECONDS), "the cache was not initialized");
			for (int n = 1; n <= 3; n++) {
				String path = "/cache/" + n, value = Integer.toString(n);

				cut();
				// While the cache's client is away or not: both must end alike.
				other.create().orSetData().forPath(path, bytes(value));
				other.setData().forPath("/cache/0", bytes(value));
				Report.until("the cache has caught up", 20,
					     () -> value.equals(seen.get(path)) &&
						     value.equals(seen.get("/cache/0")));
			}
			other.delete().forPath("/cache/3");
			Report.until("the cache saw the delete", 20, () -> !seen.containsKey("/cache/3"));
		}
		Report.same(c.getZookeeperClient().getZooKeeper().getSessionId(), session, "session");
		c.close();
		other.close();
	}

	/* Connections are cut all the time while four clients take a lock in turns. */
	private void mutexIsCut() throws Exception {
		AtomicInteger inside = new AtomicInteger(), overlaps = new AtomicInteger(),
			      done = new AtomicInteger();
		Thread[] threads = new Thread[4];

		for (int i = 0; i < threads.length; i++) {
			threads[i] = new Thread(() -> {
				try (CuratorFramework c = client(ROOT)) {
					InterProcessMutex lock = new InterProcessMutex(c, "/mutex");

					for (int n = 0; n < 15; n++) {
						if (!lock.acquire(30, TimeUnit.SECONDS))
							return;
						if (inside.incrementAndGet() > 1)
							overlaps.incrementAndGet();
						Thread.sleep(20);
						inside.decrementAndGet();
						lock.release();
						done.incrementAndGet();
					}
				} catch (Exception e) {
					e.printStackTrace();
				}
			});
			threads[i].start();
		}
		for (int n = 0; n < 6; n++) {
			Thread.sleep(200);
			cut();
		}
		for (Thread t : threads)
			t.join(60000);
		Report.same(done.get(), 60, "times that the lock was held");
		Report.same(overlaps.get(), 0, "times that two held it");
	}

	private void sharedCount() throws Exception {
		CuratorFramework c = client(ROOT), other = client(ROOT);
		AtomicInteger seen = new AtomicInteger(-1);

		try (SharedCount a = new SharedCount(c, "/count", 7);
		     SharedCount b = new SharedCount(other, "/count", 9)) {
			a.start();
			b.start();
			b.addListener(new SharedCountListener() {
				@Override
				public void countHasChanged(SharedCountReader from, int n) {
					seen.set(n);
				}

				@Override
				public void stateChanged(CuratorFramework of, ConnectionState to) {}
			});
			Report.same(b.getCount(), 7, "the first one's value");
			for (int n = 1; n <= 20; n++) {
				int want = n;

				a.setCount(n);
				if (n % 7 == 0)
					cut();
				Report.until("the listener saw it", 20, () -> seen.get() == want);
			}
			VersionedValue<Integer> old =
				b.getVersionedValue();

			a.setCount(50);
			Report.until("the listener saw it", 20, () -> seen.get() == 50);
			Report.check(!b.trySetCount(old, 99), "a stale value was taken");
			Report.same(b.getCount(), 50, "count");
		}
		c.close();
		other.close();
	}

	private void leaderSelector() throws Exception {
		AtomicInteger inside = new AtomicInteger(), overlaps = new AtomicInteger();
		AtomicInteger[] turns = {new AtomicInteger(), new AtomicInteger(),
					 new AtomicInteger()};
		CuratorFramework[] clients = new CuratorFramework[3];
		LeaderSelector[] all = new LeaderSelector[3];

		for (int i = 0; i < 3; i++) {
			int n = i;

			clients[i] = client(ROOT);
			all[i] = new LeaderSelector(
				clients[i], "/selector", new LeaderSelectorListenerAdapter() {
					@Override
					public void takeLeadership(CuratorFramework of)
						throws Exception {
						if (inside.incrementAndGet() > 1)
							overlaps.incrementAndGet();
						turns[n].incrementAndGet();
						Thread.sleep(30);
						inside.decrementAndGet();
					}
				});
			all[i].autoRequeue();
			all[i].start();
		}
		Report.until("each has led three times", 30,
			     () -> List.of(turns).stream().allMatch(n -> n.get() >= 3));
		Report.same(overlaps.get(), 0, "leaders at the same time");
		for (int i = 0; i < 3; i++) {
			all[i].close();
			clients[i].close();
		}
	}

	public static void main(String[] args) throws Exception {
		Report report = new Report(args.length > 0 ? args[0] : null);
		CuratorCut t = new CuratorCut();

		report.run("namespaceAndTransactions", t::namespaceAndTransactions);
		report.run("cacheIsCut", t::cacheIsCut);
		report.run("mutexIsCut", t::mutexIsCut);
		report.run("sharedCount", t::sharedCount);
		report.run("leaderSelector", t::leaderSelector);
		System.exit(report.status());
	}
}
