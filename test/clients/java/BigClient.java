// SPDX-License-Identifier: Apache-2.0
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;

/** Apache's Java client with jute.maxbuffer=32M: long values, long lists. */
final class BigClient {
	private static final int VALUE = 16 << 20;
	private static final int CHILDREN = 100000;
	private static final int BATCH = 5000;

	private BigClient() {}

	private static ZooKeeper open() throws Exception {
		CountDownLatch connected = new CountDownLatch(1);
		ZooKeeper zk = new ZooKeeper(System.getenv("ZK_CONNECT"), 30000,
					     event -> connected.countDown());

		Report.check(connected.await(20, TimeUnit.SECONDS), "no connection");
		return zk;
	}

	private static void value() throws Exception {
		String path = "/big-java-" + ProcessHandle.current().pid();
		byte[] first = new byte[VALUE];
		CountDownLatch changed = new CountDownLatch(1);

		new Random(1).nextBytes(first);
		byte[] second = first.clone();
		second[VALUE - 1]++;
		try (ZooKeeper a = open(); ZooKeeper b = open()) {
			a.create(path, first, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
			Report.check(Arrays.equals(b.getData(path, event -> {
				if (event.getType() == EventType.NodeDataChanged)
					changed.countDown();
			}, null), first), "the first value");
			Report.same(a.setData(path, second, 0).getDataLength(), VALUE, "length");
			Report.check(changed.await(20, TimeUnit.SECONDS), "no event");
			Report.check(Arrays.equals(b.getData(path, false, null), second), "the second value");
			a.delete(path, -1);
		}
	}

	private static void listing() throws Exception {
		String path = "/big-java-list-" + ProcessHandle.current().pid();
		HashSet<String> want = new HashSet<>();

		try (ZooKeeper zk = open()) {
			zk.create(path, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
			for (int at = 0; at < CHILDREN; at += BATCH) {
				List<Op> ops = new ArrayList<>();

				for (int i = at; i < at + BATCH; i++) {
					want.add("n" + i);
					ops.add(Op.create(path + "/n" + i, null, Ids.OPEN_ACL_UNSAFE,
							  CreateMode.PERSISTENT));
				}
				zk.multi(ops);
			}
			List<String> names = zk.getChildren(path, false);
			Report.same(names.size(), CHILDREN, "number of names");
			Report.same(new HashSet<>(names), want, "names");
		}
	}

	public static void main(String[] args) {
		Report report = new Report(args.length > 0 ? args[0] : null);

		report.run("big_java_value", BigClient::value);
		report.run("big_java_listing", BigClient::listing);
		System.exit(report.status());
	}
}
