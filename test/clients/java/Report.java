// SPDX-License-Identifier: Apache-2.0
import java.util.Objects;
import java.util.concurrent.Callable;

/** Cases of a test program: each one ends as a line "ok NAME" or "FAIL NAME: reason". */
final class Report {
	interface Case {
		void run() throws Exception;
	}

	private int failures;
	private final String only;

	/** @param only when not null, the one case to run */
	Report(String only) {
		this.only = only;
	}

	void run(String name, Case body) {
		long begin = System.nanoTime();

		if (only != null && !only.equals(name))
			return;
		try {
			body.run();
			System.out.printf("ok %s (%.2f s)%n", name,
					  (System.nanoTime() - begin) / 1e9);
		} catch (Throwable error) {
			failures++;
			System.out.printf("FAIL %s: %s: %s%n", name, lines(error), error);
		}
		System.out.flush();
	}

	private static String lines(Throwable error) {
		StringBuilder out = new StringBuilder("line");

		for (StackTraceElement e : error.getStackTrace()) {
			if (e.getFileName() != null && e.getClassName().indexOf('.') < 0 &&
			    !e.getFileName().equals("Report.java"))
				out.append(' ').append(e.getLineNumber());
		}
		return out.toString();
	}

	int status() {
		return failures == 0 ? 0 : 1;
	}

	static void check(boolean condition, String message) {
		if (!condition)
			throw new AssertionError(message);
	}

	static void same(Object got, Object want, String what) {
		if (!Objects.equals(got, want))
			throw new AssertionError(what + ": got " + got + ", want " + want);
	}

	/** Wait until the condition holds. */
	static void until(String what, double seconds, Callable<Boolean> condition)
		throws Exception {
		long end = System.nanoTime() + (long)(seconds * 1e9);

		while (!condition.call()) {
			if (System.nanoTime() > end)
				throw new AssertionError("after " + seconds +
							 " s still not: " + what);
			Thread.sleep(20);
		}
	}

	static void raises(Class<? extends Exception> kind, Case body) throws Exception {
		try {
			body.run();
		} catch (Exception e) {
			if (kind.isInstance(e))
				return;
			throw e;
		}
		throw new AssertionError("no " + kind.getSimpleName());
	}
}
