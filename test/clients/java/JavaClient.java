// SPDX-License-Identifier: Apache-2.0
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/** Apache's Java client, unmodified. */
final class JavaClient {
	private static final String CONNECT = System.getenv("ZK_CONNECT");
	private static final String ROOT = "/java-" + ProcessHandle.current().pid();
	private static final byte[] NOTHING = {};
	private static final int WAIT_SECONDS = 15;

	/** Events as texts such as "NodeCreated /a", in the order of their arrival. */
	private static final class Events implements Watcher {
		final BlockingQueue<String> nodes = new LinkedBlockingQueue<>();
		final BlockingQueue<KeeperState> states = new LinkedBlockingQueue<>();

		@Override
		public void process(WatchedEvent event) {
			if (event.getType() == EventType.None)
				states.add(event.getState());
			else
				nodes.add(event.getType() + " " + event.getPath());
		}

		void expect(EventType type, String path) throws Exception {
			Report.same(nodes.poll(WAIT_SECONDS, TimeUnit.SECONDS), type + " " + path,
				    "event");
		}

		/** These events come in any order. */
		void expectAll(String... want) throws Exception {
			Set<String> got = new TreeSet<>();

			for (int i = 0; i < want.length; i++)
				got.add(String.valueOf(nodes.poll(WAIT_SECONDS, TimeUnit.SECONDS)));
			Report.same(got, new TreeSet<>(Arrays.asList(want)), "events");
		}

		void await(KeeperState state) throws Exception {
			long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
			KeeperState got;

			do {
				got = states.poll(Math.max(0, end - System.nanoTime()),
						  TimeUnit.NANOSECONDS);
				Report.check(got != null, "no event " + state);
			} while (got != state);
		}

		/**
		 * A later request on the connection is answered behind all events of earlier
		 * changes.
		 */
		void expectNone(ZooKeeper zk) throws Exception {
			sync(zk);
			zk.exists("/", false);
			Thread.sleep(20);
			Report.same(nodes.poll(), null, "event that nobody asked for");
		}
	}

	private static final class Client extends ZooKeeper {
		final Events events;

		Client(String connect, int timeout, Events events) throws Exception {
			super(connect, timeout, events);
			this.events = events;
			events.await(KeeperState.SyncConnected);
		}

		Client() throws Exception {
			this(CONNECT, 10000, new Events());
		}

		String make(String path) throws Exception {
			return make(path, "", CreateMode.PERSISTENT);
		}

		String make(String path, String data, CreateMode mode) throws Exception {
			return create(path, data.getBytes(UTF_8), Ids.OPEN_ACL_UNSAFE, mode);
		}

		String text(String path) throws Exception {
			return new String(getData(path, false, null), UTF_8);
		}

		void put(String path, String data) throws Exception {
			setData(path, data.getBytes(UTF_8), -1);
		}
	}

	/** Passes connections on to the server, and can cut them and refuse new ones. */
	private static final class Relay {
		private final List<Socket> sockets = new ArrayList<>();
		private ServerSocket listener;
		private int port;

		String open() throws IOException {
			ServerSocket mine = new ServerSocket();

			mine.setReuseAddress(true);
			mine.bind(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), port));
			port = mine.getLocalPort();
			listener = mine;
			start(() -> accept(mine));
			return "127.0.0.1:" + port;
		}

		synchronized void cut() throws IOException {
			listener.close();
			for (Socket s : sockets)
				s.close();
			sockets.clear();
		}

		private void accept(ServerSocket mine) throws IOException {
			String[] server = CONNECT.split(":");

			while (true) {
				Socket client = mine.accept();
				Socket to = new Socket(server[0], Integer.parseInt(server[1]));

				client.setTcpNoDelay(true);
				to.setTcpNoDelay(true);
				synchronized (this) {
					sockets.add(client);
					sockets.add(to);
				}
				start(() -> pump(client, to));
				start(() -> pump(to, client));
			}
		}

		private static void pump(Socket from, Socket to) throws IOException {
			byte[] buffer = new byte[1 << 16];

			try (from; to) {
				InputStream in = from.getInputStream();
				OutputStream out = to.getOutputStream();
				int n;

				while ((n = in.read(buffer)) > 0)
					out.write(buffer, 0, n);
			}
		}

		private interface Io {
			void run() throws IOException;
		}

		/** The threads end with the sockets they serve. */
		private static void start(Io body) {
			Thread thread = new Thread(() -> {
				try {
					body.run();
				} catch (IOException e) {
					return;
				}
			});

			thread.setDaemon(true);
			thread.start();
		}
	}

	private static void sync(ZooKeeper zk) throws Exception {
		CountDownLatch done = new CountDownLatch(1);
		AtomicInteger code = new AtomicInteger(-1);

		zk.sync("/", (rc, path, context) -> {
			code.set(rc);
			done.countDown();
		}, null);
		Report.check(done.await(WAIT_SECONDS, TimeUnit.SECONDS), "sync was not answered");
		Report.same(code.get(), 0, "result of sync");
	}

	private final Client zk;
	private final Client other;

	private JavaClient() throws Exception {
		zk = new Client();
		other = new Client();
		zk.make(ROOT);
	}

	private void createModes() throws Exception {
		String path = zk.make(ROOT + "/modes");
		Stat stat = new Stat();

		Report.same(zk.make(path + "/p", "", CreateMode.PERSISTENT), path + "/p", "path");
		Report.same(zk.make(path + "/s", "", CreateMode.PERSISTENT_SEQUENTIAL),
			    path + "/s0000000001", "sequential path");
		Report.same(zk.make(path + "/s", "", CreateMode.EPHEMERAL_SEQUENTIAL),
			    path + "/s0000000002", "ephemeral sequential path");
		zk.create(path + "/e", NOTHING, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL, stat);
		Report.same(stat.getEphemeralOwner(), zk.getSessionId(), "owner");
		zk.create(path + "/c", NOTHING, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER, stat);
		Report.same(stat.getEphemeralOwner(), 0L, "owner of a container");
		Report.same(zk.make(path + "/c/x"), path + "/c/x", "child of a container");
		Report.raises(KeeperException.UnimplementedException.class, () -> {
			zk.create(path + "/t", NOTHING, Ids.OPEN_ACL_UNSAFE,
				  CreateMode.PERSISTENT_WITH_TTL, stat, 1000);
		});
		Report.raises(KeeperException.NoChildrenForEphemeralsException.class,
			      () -> zk.make(path + "/e/x"));
		Report.raises(KeeperException.NodeExistsException.class,
			      () -> zk.make(path + "/p"));
		Report.raises(KeeperException.NoNodeException.class,
			      () -> zk.make(path + "/none/x"));
		Report.raises(KeeperException.NotEmptyException.class, () -> zk.delete(path, -1));
		zk.delete(path + "/p", 0);
		Report.same(zk.make(path + "/s", "", CreateMode.PERSISTENT_SEQUENTIAL),
			    path + "/s0000000005", "name after a delete");
		Report.same(zk.exists(path, false).getNumChildren(), 5, "children");
	}

	private void dataAndVersions() throws Exception {
		String path = ROOT + "/data";
		Stat stat = new Stat();

		zk.create(path, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
		Report.same(zk.getData(path, false, stat), null, "null data");
		Report.same(stat.getDataLength(), 0, "length of null data");
		Report.same(zk.setData(path, NOTHING, 0).getVersion(), 1, "version");
		Report.same(zk.getData(path, false, stat).length, 0, "empty data");
		zk.setData(path, null, 1);
		Report.same(zk.getData(path, false, stat), null, "null data");
		Report.raises(KeeperException.BadVersionException.class,
			      () -> zk.setData(path, NOTHING, 1));
		Report.raises(KeeperException.BadVersionException.class, () -> zk.delete(path, 7));
		Report.raises(KeeperException.NoNodeException.class,
			      () -> zk.setData(path + "/none", NOTHING, -1));
		Report.raises(KeeperException.NoNodeException.class,
			      () -> zk.getData(path + "/none", false, null));
		Report.same(zk.exists(path + "/none", false), null, "exists");
		Stat set = zk.setData(path, "x".getBytes(UTF_8), 2);
		Report.same(zk.exists(path, false), set, "Stat of exists and setData");
		Report.check(set.getMzxid() > set.getCzxid() && set.getMtime() >= set.getCtime(),
			     "Stat");
		String name = path + "/gr\u00fc\u00df \u4e2d\u6587 ...";
		Report.same(zk.make(name, "\u00e4\ud83d\ude00", CreateMode.PERSISTENT), name,
			    "path");
		Report.same(zk.text(name), "\u00e4\ud83d\ude00", "data");
		Report.same(zk.getChildren(path, false), List.of(name.substring(path.length() + 1)),
			    "children");
	}

	private void largeData() throws Exception {
		byte[] data = new byte[1000000];
		String path = ROOT + "/large";

		new Random(1).nextBytes(data);
		zk.create(path, data, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
		Report.check(Arrays.equals(other.getData(path, false, null), data),
			     "the data differs");
		zk.delete(path, -1);
	}

	private void tenThousandChildren() throws Exception {
		String path = zk.make(ROOT + "/many");
		Set<String> want = new HashSet<>();
		Semaphore window = new Semaphore(1000);
		AtomicInteger bad = new AtomicInteger();

		for (int i = 0; i < 10000; i++) {
			String name = String.format("a-rather-long-name-%06d", i);

			want.add(name);
			window.acquire();
			zk.create(path + "/" + name, NOTHING, Ids.OPEN_ACL_UNSAFE,
				  CreateMode.PERSISTENT, (rc, p, context, made) -> {
					  if (rc != 0)
						  bad.incrementAndGet();
					  window.release();
				  }, null);
		}
		Report.check(window.tryAcquire(1000, 60, TimeUnit.SECONDS),
			     "creates were not answered");
		Report.same(bad.get(), 0, "creates that failed");
		Stat stat = new Stat();
		List<String> got = other.getChildren(path, false, stat);
		Report.same(got.size(), 10000, "names");
		Report.same(new HashSet<>(got), want, "set of names");
		Report.same(stat.getNumChildren(), 10000, "numChildren");
		List<Op> deletes = new ArrayList<>();
		for (String name : got)
			deletes.add(Op.delete(path + "/" + name, -1));
		for (int at = 0; at < deletes.size(); at += 1000)
			zk.multi(deletes.subList(at, at + 1000));
		Report.same(zk.getChildren(path, false), List.of(), "names after the deletes");
	}

	private void multi() throws Exception {
		String path = ROOT + "/multi";
		List<OpResult> r = zk.multi(List.of(
			Op.create(path, NOTHING, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
			Op.create(path + "/s", NOTHING, Ids.OPEN_ACL_UNSAFE,
				  CreateMode.PERSISTENT_SEQUENTIAL),
			Op.create(path + "/c", NOTHING, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
			Op.setData(path, "1".getBytes(UTF_8), 0), Op.check(path, 1),
			Op.delete(path + "/s0000000000", -1)));

		Report.same(((OpResult.CreateResult)r.get(0)).getPath(), path, "result 0");
		Report.same(((OpResult.CreateResult)r.get(1)).getPath(), path + "/s0000000000",
			    "result 1");
		Report.same(((OpResult.CreateResult)r.get(2)).getPath(), path + "/c", "result 2");
		Report.same(((OpResult.SetDataResult)r.get(3)).getStat().getVersion(), 1,
			    "result 3");
		Report.check(r.get(4) instanceof OpResult.CheckResult, "result 4");
		Report.check(r.get(5) instanceof OpResult.DeleteResult, "result 5");
		Stat stat = zk.exists(path, false);
		Report.same(stat.getCzxid(), stat.getMzxid(), "one zxid for the whole multi");

		try {
			zk.multi(List.of(Op.setData(path, NOTHING, 1),
					 Op.delete(path + "/none", -1),
					 Op.delete(path + "/c", -1)));
			throw new AssertionError("the multi did not fail");
		} catch (KeeperException.NoNodeException e) {
			int[] want = {0, -101, -2};

			Report.same(e.getResults().size(), want.length, "results");
			for (int i = 0; i < want.length; i++)
				Report.same(((OpResult.ErrorResult)e.getResults().get(i)).getErr(),
					    want[i], "result " + i);
		}
		Report.same(zk.exists(path, false).getVersion(), 1,
			    "version after the failed multi");
		r = zk.multi(List.of(Op.getData(path), Op.getChildren(path),
				     Op.getData(path + "/none")));
		Report.same(new String(((OpResult.GetDataResult)r.get(0)).getData(), UTF_8), "1",
			    "data");
		Report.same(((OpResult.GetChildrenResult)r.get(1)).getChildren(), List.of("c"),
			    "children");
		Report.same(((OpResult.ErrorResult)r.get(2)).getErr(), -101, "error");
		Report.same(zk.multi(List.of()), List.of(), "empty multi");
	}

	private void watches() throws Exception {
		String path = ROOT + "/watch";
		Events e = new Events();

		Report.same(zk.exists(path, e), null, "exists");
		other.make(path);
		e.expect(EventType.NodeCreated, path);
		zk.getData(path, e, null);
		other.put(path, "1");
		e.expect(EventType.NodeDataChanged, path);
		zk.getChildren(path, e);
		other.make(path + "/a");
		e.expect(EventType.NodeChildrenChanged, path);
		zk.exists(path + "/a", e);
		zk.getChildren(path, e);
		other.delete(path + "/a", -1);
		e.expect(EventType.NodeDeleted, path + "/a");
		e.expect(EventType.NodeChildrenChanged, path);
		// Used up, or never set.
		Report.raises(KeeperException.NoNodeException.class,
			      () -> zk.getData(path + "/b", e, null));
		other.put(path, "2");
		other.make(path + "/b");
		e.expectNone(zk);
		// The default watcher, and one that was set by the client that writes.
		zk.getData(path, true, null);
		zk.put(path, "3");
		zk.events.expect(EventType.NodeDataChanged, path);
	}

	private void addWatch() throws Exception {
		String path = other.make(ROOT + "/added");
		Events plain = new Events(), deep = new Events();

		zk.addWatch(path, plain, AddWatchMode.PERSISTENT);
		for (int i = 0; i < 3; i++) {
			other.put(path, "x");
			plain.expect(EventType.NodeDataChanged, path);
		}
		other.make(path + "/a");
		plain.expect(EventType.NodeChildrenChanged, path);
		other.make(path + "/a/b");
		plain.expectNone(zk);
		zk.removeWatches(path, plain, WatcherType.Any, false);
		plain.expect(EventType.PersistentWatchRemoved, path);

		// Removing one watcher only asks the server; its watch stays, so take another node.
		path = path + "-deep";
		for (String name : List.of("", "/a", "/a/b"))
			other.make(path + name);
		zk.addWatch(path, deep, AddWatchMode.PERSISTENT_RECURSIVE);
		other.put(path + "/a/b", "x");
		deep.expect(EventType.NodeDataChanged, path + "/a/b");
		other.make(path + "/a/b/c");
		deep.expect(EventType.NodeCreated, path + "/a/b/c");
		other.delete(path + "/a/b/c", -1);
		deep.expect(EventType.NodeDeleted, path + "/a/b/c");
		other.multi(List.of(Op.delete(path + "/a/b", -1), Op.delete(path + "/a", -1),
				    Op.delete(path, -1)));
		deep.expect(EventType.NodeDeleted, path + "/a/b");
		deep.expect(EventType.NodeDeleted, path + "/a");
		deep.expect(EventType.NodeDeleted, path);
		plain.expectNone(zk);
		zk.removeWatches(path, deep, WatcherType.Any, false);
		deep.expect(EventType.PersistentWatchRemoved, path);
		other.make(path);
		deep.expectNone(zk);
		String node = path;
		Report.raises(KeeperException.NoWatcherException.class,
			      () -> zk.removeWatches(node, deep, WatcherType.Any, false));
	}

	private void removeWatches() throws Exception {
		String path = other.make(ROOT + "/removed");
		Events e = new Events();

		zk.getData(path, e, null);
		zk.getChildren(path, e);
		zk.removeWatches(path, e, WatcherType.Data, false);
		e.expect(EventType.DataWatchRemoved, path);
		other.put(path, "x");
		other.make(path + "/a");
		e.expect(EventType.NodeChildrenChanged, path);
		zk.getChildren(path, e);
		zk.exists(path, e);
		zk.removeAllWatches(path, WatcherType.Any, false);
		e.expectAll("ChildWatchRemoved " + path, "DataWatchRemoved " + path);
		other.put(path, "y");
		other.delete(path + "/a", -1);
		e.expectNone(zk);
	}

	private void accessControl() throws Exception {
		String path = ROOT + "/acl";
		Client owner = new Client();
		Stat stat = new Stat();

		Report.raises(KeeperException.InvalidACLException.class, () -> {
			owner.create(path, NOTHING, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
		});
		owner.addAuthInfo("digest", "hugo:pw".getBytes(UTF_8));
		owner.create(path, "x".getBytes(UTF_8), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
		Report.raises(KeeperException.NoAuthException.class,
			      () -> zk.getData(path, false, null));
		Report.raises(KeeperException.NoAuthException.class, () -> zk.put(path, ""));
		Report.raises(KeeperException.NoAuthException.class, () -> zk.make(path + "/x"));
		Report.raises(KeeperException.NoAuthException.class, () -> zk.getACL(path, null));
		List<ACL> acl = owner.getACL(path, stat);
		Report.same(acl.size(), 1, "entries of the ACL");
		Report.check(acl.get(0).getId().getId().startsWith("hugo:"), "id " + acl);
		Report.raises(KeeperException.BadVersionException.class,
			      () -> owner.setACL(path, Ids.READ_ACL_UNSAFE, 5));
		List<ACL> both = new ArrayList<>(acl);
		both.add(new ACL(Perms.READ, new Id("world", "anyone")));
		Report.same(owner.setACL(path, both, 0).getAversion(), 1, "aversion");
		Report.same(zk.text(path), "x", "data");
		Report.same(owner.getACL(path, stat), both, "ACL");
		Report.raises(KeeperException.NoAuthException.class,
			      () -> zk.setACL(path, both, -1));
		Client friend = new Client();
		friend.addAuthInfo("digest", "hugo:pw".getBytes(UTF_8));
		friend.put(path, "y");
		Report.same(friend.whoAmI()
				    .stream()
				    .map(i -> i.getAuthScheme() + ":" + i.getUser())
				    .filter(i -> i.startsWith("digest:"))
				    .toList(),
			    List.of("digest:hugo"), "whoAmI");
		// The only address that the ACL admits is one that no client here has.
		zk.create(path + "-ip", NOTHING,
			  Arrays.asList(new ACL(Perms.ALL, new Id("ip", "10.255.255.254"))),
			  CreateMode.PERSISTENT);
		Report.raises(KeeperException.NoAuthException.class,
			      () -> zk.put(path + "-ip", ""));
		zk.create(path + "-net", NOTHING,
			  Arrays.asList(new ACL(Perms.ALL, new Id("ip", "127.0.0.0/8"))),
			  CreateMode.PERSISTENT);
		zk.put(path + "-net", "x");
		friend.addAuthInfo("nonsense", NOTHING);
		friend.events.await(KeeperState.AuthFailed);
		friend.close();
		owner.close();
	}

	private void ephemeralsEndWithClose() throws Exception {
		String path = zk.make(ROOT + "/eph");
		Client owner = new Client();
		Events e = new Events();

		for (int i = 0; i < 50; i++) {
			owner.make(path + "/" + i, "", CreateMode.EPHEMERAL);
			zk.exists(path + "/" + i, e);
		}
		zk.getChildren(path, e);
		owner.close();
		Set<String> got = new HashSet<>();
		for (int i = 0; i < 51; i++)
			got.add(e.nodes.poll(WAIT_SECONDS, TimeUnit.SECONDS));
		Report.same(got.size(), 51, "different events");
		Report.check(got.contains("NodeChildrenChanged " + path),
			     "no event for the children");
		Report.same(zk.getChildren(path, false), List.of(), "children");
	}

	/**
	 * Runs in a process of its own, and is killed: two sessions with an ephemeral node each.
	 */
	private static void hold(String root) throws Exception {
		for (int timeout : new int[] {4000, 40000}) {
			Client c = new Client(CONNECT, timeout, new Events());

			c.make(root + "/held-" + timeout, "", CreateMode.EPHEMERAL);
			StringBuilder hex = new StringBuilder();
			for (byte b : c.getSessionPasswd())
				hex.append(String.format("%02x", b));
			System.out.println(c.getSessionId() + " " + hex);
		}
		System.out.flush();
		Thread.sleep(60000);
	}

	private static byte[] unhex(String hex) {
		byte[] out = new byte[hex.length() / 2];

		for (int i = 0; i < out.length; i++)
			out[i] = (byte)Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
		return out;
	}

	private static KeeperState attach(long id, byte[] password, Events e) throws Exception {
		ZooKeeper again = new ZooKeeper(CONNECT, 40000, e, id, password);
		KeeperState first = e.states.poll(WAIT_SECONDS, TimeUnit.SECONDS);

		if (first == KeeperState.SyncConnected)
			Report.same(again.getSessionId(), id, "session");
		again.close();
		return first;
	}

	/**
	 * A process with two sessions is killed. One session is taken over with its password; the
	 * other expires, while a third one, idle with the same timeout, lives on by its pings.
	 */
	private void killedProcess() throws Exception {
		String soon = ROOT + "/held-4000", late = ROOT + "/held-40000";
		Client idle = new Client(CONNECT, 4000, new Events());
		Events e = new Events();
		Process child =
			new ProcessBuilder(ProcessHandle.current().info().command().orElse("java"),
					   "-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
					   "-cp", System.getProperty("java.class.path"),
					   "JavaClient", "hold", ROOT)
				.redirectError(
					ProcessBuilder.Redirect.appendTo(new File("/dev/null")))
				.start();
		BufferedReader lines =
			new BufferedReader(new InputStreamReader(child.getInputStream(), UTF_8));
		String[] first = String.valueOf(lines.readLine()).split(" ");
		String[] second = String.valueOf(lines.readLine()).split(" ");

		Report.check(first.length == 2 && second.length == 2,
			     "the child process did not start");
		Report.same(zk.exists(soon, e).getEphemeralOwner(), Long.parseLong(first[0]),
			    "owner");
		Report.same(zk.exists(late, e).getEphemeralOwner(), Long.parseLong(second[0]),
			    "owner");
		long begin = System.nanoTime();
		child.destroyForcibly().waitFor();

		long id = Long.parseLong(second[0]);
		Report.same(attach(id, new byte[16], new Events()), KeeperState.Expired,
			    "state with a wrong password");
		Report.check(zk.exists(late, false) != null, "a wrong password ended the session");
		Report.same(attach(id, unhex(second[1]), new Events()), KeeperState.SyncConnected,
			    "state with the right password");
		e.expect(EventType.NodeDeleted, late);
		Report.same(attach(id, unhex(second[1]), new Events()), KeeperState.Expired,
			    "state of a closed session");

		e.expect(EventType.NodeDeleted, soon);
		double seconds = (System.nanoTime() - begin) / 1e9;
		Report.check(seconds > 2 && seconds < 9,
			     "the session of 4 s ended after " + seconds);
		Report.same(attach(Long.parseLong(first[0]), unhex(first[1]), new Events()),
			    KeeperState.Expired, "state of an expired session");
		Report.same(idle.events.states.poll(), null, "change of state of the idle session");
		Report.same(idle.exists(soon, false), null, "exists");
		idle.close();
	}

	/** What changed while the client was away is told when it is back, and nothing else. */
	private void reconnect() throws Exception {
		String path = other.make(ROOT + "/away");
		Relay relay = new Relay();
		Client c = new Client(relay.open(), 30000, new Events());
		Events e = new Events(), persistent = new Events(), deep = new Events();
		long id = c.getSessionId();

		for (String name :
		     List.of("data", "same", "gone", "kids", "quiet", "kidsgone", "deep"))
			other.make(path + "/" + name);
		c.make(path + "/e", "", CreateMode.EPHEMERAL);
		for (String name : List.of("data", "same", "gone"))
			c.getData(path + "/" + name, e, null);
		for (String name : List.of("kids", "quiet", "kidsgone"))
			c.getChildren(path + "/" + name, e);
		c.exists(path + "/new", e);
		c.exists(path + "/never", e);
		c.addWatch(path + "/same", persistent, AddWatchMode.PERSISTENT);
		c.addWatch(path + "/deep", deep, AddWatchMode.PERSISTENT_RECURSIVE);
		relay.cut();
		c.events.await(KeeperState.Disconnected);
		Report.raises(KeeperException.ConnectionLossException.class,
			      () -> c.exists(path, false));
		other.put(path + "/data", "1");
		other.put(path + "/data", "2");
		other.delete(path + "/gone", -1);
		other.make(path + "/kids/a");
		other.make(path + "/new");
		other.delete(path + "/kidsgone", -1);
		relay.open();
		c.events.await(KeeperState.SyncConnected);
		Report.same(c.getSessionId(), id, "session");
		e.expectAll("NodeDataChanged " + path + "/data", "NodeDeleted " + path + "/gone",
			    "NodeChildrenChanged " + path + "/kids", "NodeCreated " + path + "/new",
			    "NodeDeleted " + path + "/kidsgone");
		e.expectNone(c);
		Report.same(c.text(path + "/data"), "2", "data");
		Report.same(c.exists(path + "/e", false).getEphemeralOwner(), id, "owner");
		other.put(path + "/same", "1");
		e.expect(EventType.NodeDataChanged, path + "/same");
		persistent.expect(EventType.NodeDataChanged, path + "/same");
		other.make(path + "/never");
		e.expect(EventType.NodeCreated, path + "/never");
		other.make(path + "/quiet/a");
		e.expect(EventType.NodeChildrenChanged, path + "/quiet");
		other.make(path + "/deep/a");
		deep.expect(EventType.NodeCreated, path + "/deep/a");
		c.close();
		relay.cut();
	}

	/** So many watches that the client sends them again in several requests. */
	private void reconnectWithManyWatches() throws Exception {
		String path = other.make(ROOT + "/manywatches"), name = path + "/"
									+ "n".repeat(80) + "-";
		Relay relay = new Relay();
		Client c = new Client(relay.open(), 30000, new Events());
		Events e = new Events();
		Semaphore window = new Semaphore(500);

		for (int i = 0; i < 4000; i++) {
			window.acquire();
			c.exists(name + i, e, (rc, p, context, stat) -> window.release(), null);
		}
		Report.check(window.tryAcquire(500, 30, TimeUnit.SECONDS),
			     "exists was not answered");
		relay.cut();
		c.events.await(KeeperState.Disconnected);
		for (int i = 0; i < 4000; i += 500)
			other.make(name + i);
		relay.open();
		c.events.await(KeeperState.SyncConnected);
		Set<String> want = new TreeSet<>();
		for (int i = 0; i < 4000; i += 500)
			want.add("NodeCreated " + name + i);
		e.expectAll(want.toArray(new String[0]));
		other.make(name + "3999");
		e.expect(EventType.NodeCreated, name + "3999");
		other.make(name + "1");
		e.expect(EventType.NodeCreated, name + "1");
		c.close();
		relay.cut();
	}

	/** The kernel resets the connection under the client. */
	private void resetConnection() throws Exception {
		String path = other.make(ROOT + "/reset");
		Client c = new Client();
		Events e = new Events();
		long id = c.getSessionId();
		String local = c.toString().replaceAll(".* local:\\S*?:(\\d+) .*", "$1");

		c.make(path + "/e", "", CreateMode.EPHEMERAL);
		c.getData(path, e, null);
		Process ss = new ProcessBuilder("ss", "-K", "-t", "state", "established", "sport",
						"=", ":" + local)
				     .redirectErrorStream(true)
				     .start();
		ss.getInputStream().readAllBytes();
		Report.same(ss.waitFor(), 0, "status of ss");
		c.events.await(KeeperState.Disconnected);
		c.events.await(KeeperState.SyncConnected);
		Report.same(c.getSessionId(), id, "session");
		Report.same(c.exists(path + "/e", false).getEphemeralOwner(), id, "owner");
		other.put(path, "1");
		e.expect(EventType.NodeDataChanged, path);
		c.close();
		Report.same(other.exists(path + "/e", false), null, "node of the closed session");
	}

	/**
	 * Requests in flight are answered in their order, and reads see the session's own writes.
	 */
	private void pipelined() throws Exception {
		String path = zk.make(ROOT + "/pipe");
		AtomicInteger next = new AtomicInteger(), bad = new AtomicInteger();
		Semaphore done = new Semaphore(0);

		for (int i = 1; i <= 1000; i++) {
			int n = i;

			zk.setData(path, Integer.toString(i).getBytes(UTF_8),
				   i - 1, (rc, p, x, stat) -> {
					   if (rc != 0 || stat.getVersion() != n ||
					       next.incrementAndGet() != n)
						   bad.incrementAndGet();
				   }, null);
			zk.getData(path, false, (rc, p, x, data, stat) -> {
				if (rc != 0 || next.get() != n ||
				    !new String(data, UTF_8).equals(Integer.toString(n)))
					bad.incrementAndGet();
				done.release();
			}, null);
		}
		Report.check(done.tryAcquire(1000, 30, TimeUnit.SECONDS), "not all were answered");
		Report.same(bad.get(), 0, "answers that were wrong or out of order");
	}

	public static void main(String[] args) throws Exception {
		if (args.length == 2 && args[0].equals("hold")) {
			hold(args[1]);
			return;
		}
		Report report = new Report(args.length > 0 ? args[0] : null);
		JavaClient t = new JavaClient();

		report.run("createModes", t::createModes);
		report.run("dataAndVersions", t::dataAndVersions);
		report.run("largeData", t::largeData);
		report.run("tenThousandChildren", t::tenThousandChildren);
		report.run("multi", t::multi);
		report.run("watches", t::watches);
		report.run("addWatch", t::addWatch);
		report.run("removeWatches", t::removeWatches);
		report.run("accessControl", t::accessControl);
		report.run("ephemeralsEndWithClose", t::ephemeralsEndWithClose);
		report.run("killedProcess", t::killedProcess);
		report.run("reconnect", t::reconnect);
		report.run("reconnectWithManyWatches", t::reconnectWithManyWatches);
		report.run("resetConnection", t::resetConnection);
		report.run("pipelined", t::pipelined);
		t.zk.close();
		t.other.close();
		System.exit(report.status());
	}
}
