// SPDX-License-Identifier: Apache-2.0
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/**
 * Apache's Java client over a restart of the server: "ready" when all is set up, then a line on
 * standard input says that the server was killed and is back, and the next one that /java/watched
 * was changed. Ends with "ok" or "FAIL reason".
 */
final class Survivor {
	private static final LinkedBlockingQueue<WatchedEvent> EVENTS = new LinkedBlockingQueue<>();

	private static void check(boolean condition, String message) {
		if (!condition)
			throw new AssertionError(message);
	}

	/** The next event with this type; connection states are passed over, a lost session is not. */
	private static WatchedEvent event(Watcher.Event.EventType type) throws Exception {
		long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);

		for (;;) {
			WatchedEvent e = EVENTS.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);

			check(e != null, "no event " + type);
			check(e.getState() != Watcher.Event.KeeperState.Expired, "the session expired");
			if (e.getType() == type)
				return e;
		}
	}

	/** The read of a client that does not give up while the server is away. */
	private static Stat stat(ZooKeeper zk, String path) throws Exception {
		for (int i = 0;; i++) {
			try {
				return zk.exists(path, false);
			} catch (KeeperException.ConnectionLossException e) {
				check(i < 100, "no connection");
				Thread.sleep(100);
			}
		}
	}

	private static void body(BufferedReader in) throws Exception {
		ZooKeeper zk = new ZooKeeper(System.getenv("ZK_CONNECT"), 8000, EVENTS::add);

		for (Stat s = null; s == null;)
			s = stat(zk, "/");
		zk.create("/java", new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
		zk.create("/java/watched", new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE,
			  CreateMode.PERSISTENT);
		zk.create("/java/mine", new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
		String first = zk.create("/java/s-", new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE,
					 CreateMode.PERSISTENT_SEQUENTIAL);
		Stat last = null;

		for (int i = 0; i < 500; i++)
			last = zk.setData("/java", Integer.toString(i).getBytes(StandardCharsets.UTF_8), i);
		zk.getData("/java/watched", true, null);
		zk.getChildren("/java", true);
		zk.exists("/java/later", true);
		long session = zk.getSessionId();

		System.out.println("ready");
		in.readLine();
		Stat now = stat(zk, "/java");

		check(zk.getSessionId() == session, "another session");
		check(now.getMzxid() == last.getMzxid() && now.getVersion() == last.getVersion(),
		      "/java is at version " + now.getVersion() + ", was " + last.getVersion());
		check(stat(zk, "/java/mine").getEphemeralOwner() == session, "the ephemeral is not ours");
		System.out.println("resumed");
		in.readLine();
		check(event(Watcher.Event.EventType.NodeDataChanged).getPath().equals("/java/watched"),
		      "data watch");
		check(event(Watcher.Event.EventType.NodeChildrenChanged).getPath().equals("/java"),
		      "child watch");
		String second = zk.create("/java/s-", new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE,
					  CreateMode.PERSISTENT_SEQUENTIAL);

		check(second.compareTo(first) > 0, second + " after " + first);
		check(zk.setData("/java", new byte[0], 500).getMzxid() > last.getMzxid(),
		      "a zxid that was used before");
		zk.create("/java/later", new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE,
			  CreateMode.PERSISTENT);
		check(event(Watcher.Event.EventType.NodeCreated).getPath().equals("/java/later"),
		      "exists watch");
		zk.close();
		System.out.println("ok");
	}

	public static void main(String[] args) throws Exception {
		try {
			body(new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)));
		} catch (Throwable e) {
			System.out.println("FAIL " + e);
			e.printStackTrace(System.out);
			System.exit(1);
		}
	}
}
