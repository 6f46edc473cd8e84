/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/environment.h"

#include "ctl/server/version.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

struct text {
	char *p;
	size_t n, cap;
};

/** A line that does not fit is left out. */
__attribute__((format(printf, 2, 3))) static void line(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->p + t->n, t->cap - t->n, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < t->cap - t->n)
		t->n += (size_t)n;
	else
		t->p[t->n] = '\0';
}

static void java(struct text *t)
{
	static const char *const keys[] = {"version",      "vendor",    "home",    "class.path",
					   "library.path", "io.tmpdir", "compiler"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		line(t, "java.%s=<NA>\n", keys[i]);
}

void environment_text(char *out, size_t cap)
{
	struct text t = {out, 0, cap};
	const struct passwd *pw = getpwuid(geteuid());
	struct utsname u = {.sysname = "<NA>", .machine = "<NA>", .release = "<NA>"};
	struct sysinfo mem = {0};
	char host[256] = "<NA>", dir[4096];
	unsigned long mib;

	if (gethostname(host, sizeof(host)) == 0)
		host[sizeof(host) - 1] = '\0';
	(void)uname(&u);
	(void)sysinfo(&mem);
	mib = (1UL << 20) / (mem.mem_unit ? mem.mem_unit : 1);
	line(&t, "zookeeper.version=%s, built on %s\n", ZOKOR_ZOOKEEPER_VERSION, ZOKOR_BUILT);
	line(&t, "host.name=%s\n", host);
	java(&t);
	line(&t, "os.name=%s\nos.arch=%s\nos.version=%s\n", u.sysname,
	     strcmp(u.machine, "x86_64") == 0 ? "amd64" : u.machine, u.release);
	line(&t, "user.name=%s\nuser.home=%s\n", pw ? pw->pw_name : "<NA>",
	     pw ? pw->pw_dir : "<NA>");
	line(&t, "user.dir=%s\n", getcwd(dir, sizeof(dir)) ? dir : "<NA>");
	line(&t, "os.memory.free=%luMB\nos.memory.max=%luMB\nos.memory.total=%luMB\n",
	     mem.freeram / mib, mem.totalram / mib, mem.totalram / mib);
}
