/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual devices: what must hold before a driver is asked, and the driver's arguments. */
#include "dp/port/port_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { AF_PACKET_FRAME_BYTES = 2048, AF_PACKET_HEADER_BYTES = 128, MEMIF_LOG2_RING = 11 };

#define SAY(why, ...) snprintf((why), PORT_ERR_TEXT_MAX, __VA_ARGS__)

static enum zk_err tap_check(const struct port_conf *conf, char *why)
{
	const char *name = conf->spec.name;
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_MULTI_QUEUE};
	int fd, rc, e;

	/* The kernel would let a second process attach to the same multi-queue TAP. */
	if (if_nametoindex(name) != 0) {
		SAY(why, "interface %s exists already (another server, or a left-over TAP)", name);
		return ZK_EBUSY;
	}
	if (conf->tap_bridge[0] && if_nametoindex(conf->tap_bridge) == 0) {
		SAY(why, "bridge %s does not exist", conf->tap_bridge);
		return ZK_ENOENT;
	}
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		SAY(why, "cannot open /dev/net/tun, which a TAP needs: %s", strerror(errno));
		return ZK_EPERM;
	}
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.15s", name);
	rc = ioctl(fd, TUNSETIFF, &ifr);
	e = errno;
	close(fd); /* the interface goes with it */
	if (rc == 0)
		return ZK_EOK;
	if (e == EPERM) {
		SAY(why, "no permission to create interface %s (CAP_NET_ADMIN is needed)", name);
		return ZK_EPERM;
	}
	SAY(why, "cannot create interface %s: %s", name, strerror(e));
	return e == EBUSY ? ZK_EBUSY : e == EINVAL ? ZK_EINVAL : ZK_EIO;
}

static enum zk_err raw_check(const struct port_conf *conf, char *why)
{
	struct ifreq ifr = {.ifr_flags = 0};
	int fd;

	if (if_nametoindex(conf->spec.name) == 0) {
		SAY(why, "interface %s does not exist", conf->spec.name);
		return ZK_ENOENT;
	}
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		SAY(why, "no raw access to interface %s (CAP_NET_RAW is needed): %s",
		    conf->spec.name, strerror(errno));
		return ZK_EPERM;
	}
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.15s", conf->spec.name);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && !(ifr.ifr_flags & IFF_UP)) {
		ifr.ifr_flags |= IFF_UP;
		if (ioctl(fd, SIOCSIFFLAGS, &ifr) != 0) {
			SAY(why, "interface %s is down and cannot be set up: %s", conf->spec.name,
			    strerror(errno));
			close(fd);
			return ZK_EPERM;
		}
	}
	close(fd);
	return ZK_EOK;
}

/* Is a memif socket alive? 0 = yes, else errno. A socket of another type finds out without being
 * accepted: the driver's interrupt thread panics over a peer that comes and goes at once. */
static int memif_try(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return errno;
	memcpy(un.sun_path, path, strnlen(path, sizeof(un.sun_path) - 1));
	rc = connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0 ? 0 : errno;
	close(fd);
	return rc == EPROTOTYPE ? 0 : rc;
}

static enum zk_err memif_server_check(const char *path, char *why)
{
	char dir[128];
	struct stat st;
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	zk_assert(slash); /* port_spec_parse() */
	slash[slash == dir] = 0;
	if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
		SAY(why, "directory %s for the memif socket does not exist", dir);
		return ZK_ENOENT;
	}
	if (access(dir, W_OK | X_OK) != 0) {
		SAY(why, "no permission to create a memif socket in %s", dir);
		return ZK_EPERM;
	}
	if (lstat(path, &st) != 0)
		return ZK_EOK;
	if (!S_ISSOCK(st.st_mode)) {
		SAY(why, "%s exists and is no socket", path);
		return ZK_EBUSY;
	}
	if (memif_try(path) != ECONNREFUSED) {
		SAY(why, "another process serves memif on %s", path);
		return ZK_EBUSY;
	}
	if (unlink(path) != 0) { /* left behind by a process that was killed */
		SAY(why, "stale socket %s cannot be removed: %s", path, strerror(errno));
		return ZK_EPERM;
	}
	return ZK_EOK;
}

static enum zk_err memif_client_check(const char *path, char *why)
{
	int e = memif_try(path);

	if (e == 0)
		return ZK_EOK;
	SAY(why, "no memif server at %s: %s", path, strerror(e));
	return e == EACCES || e == EPERM ? ZK_EPERM : ZK_ENOENT;
}

enum zk_err port_precheck(const struct port_conf *conf, char *why)
{
	enum zk_err err = ZK_EOK;

	switch (conf->spec.kind) {
	case PORT_TAP:
		err = tap_check(conf, why);
		break;
	case PORT_AF_PACKET:
	case PORT_AF_XDP:
		err = raw_check(conf, why);
		break;
	case PORT_MEMIF:
		return conf->spec.memif_client ? memif_client_check(conf->spec.name, why)
					       : memif_server_check(conf->spec.name, why);
	case PORT_PCI:
		return ZK_EOK;
	}
	return err ? err : tap_host_address_free(conf, why);
}

static unsigned pow2_at_least(unsigned v)
{
	unsigned p = 1;

	while (p < v)
		p *= 2;
	return p;
}

enum zk_err port_vdev_args(const struct port_conf *conf, unsigned n, char *name, size_t name_bytes,
			   char *args, size_t args_bytes)
{
	const char *s = conf->spec.name;
	unsigned frame = AF_PACKET_FRAME_BYTES;
	int a = -1, b = -1;

	if (conf->mtu + 14u + AF_PACKET_HEADER_BYTES > frame)
		frame = pow2_at_least(conf->mtu + 14u + AF_PACKET_HEADER_BYTES);
	switch (conf->spec.kind) {
	case PORT_TAP:
		a = snprintf(name, name_bytes, "net_tap%u", n);
		b = snprintf(args, args_bytes, "iface=%s", s);
		break;
	case PORT_AF_PACKET:
		a = snprintf(name, name_bytes, "net_af_packet%u", n);
		b = snprintf(args, args_bytes, "iface=%s,qpairs=%u,framesz=%u,blocksz=%u", s,
			     conf->queues, frame, frame < 4096 ? 4096 : frame);
		break;
	case PORT_AF_XDP:
		a = snprintf(name, name_bytes, "net_af_xdp%u", n);
		b = snprintf(args, args_bytes, "iface=%s,busy_budget=0", s);
		break;
	case PORT_MEMIF:
		a = snprintf(name, name_bytes, "net_memif%u", n);
		b = snprintf(args, args_bytes,
			     "role=%s,id=0,socket=%s,socket-abstract=no,rsize=%u,bsize=%u",
			     conf->spec.memif_client ? "client" : "server", s,
			     (unsigned)MEMIF_LOG2_RING,
			     conf->mtu + 14u > 2048u ? pow2_at_least(conf->mtu + 14u) : 2048u);
		break;
	case PORT_PCI:
		break;
	}
	return a > 0 && (size_t)a < name_bytes && b > 0 && (size_t)b < args_bytes ? ZK_EOK
										  : ZK_EINVAL;
}
