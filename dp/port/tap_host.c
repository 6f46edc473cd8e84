/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side of a TAP, by netlink: link up, MTU, address, route, bridge membership. */
#include "dp/port/port_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_BYTES = 1024, REPLY_BYTES = 32768 };

#define SAY(why, ...) snprintf((why), PORT_ERR_TEXT_MAX, __VA_ARGS__)

struct request {
	_Alignas(struct nlmsghdr) char bytes[REQUEST_BYTES];
};

static const char *ip_text(uint32_t ip, char text[INET_ADDRSTRLEN])
{
	uint32_t be = htonl(ip);

	return inet_ntop(AF_INET, &be, text, INET_ADDRSTRLEN);
}

static bool loopback(uint32_t ip)
{
	return ip >> 24 == 127;
}

static struct nlmsghdr *request_new(struct request *r, uint16_t type, unsigned flags)
{
	struct nlmsghdr *h;

	memset(r, 0, sizeof(*r));
	h = mnl_nlmsg_put_header(r->bytes);
	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = 1;
	return h;
}

/* Send one request and hand every answer to @p cb. @return 0 or the kernel's errno. */
static int talk(struct nlmsghdr *h, mnl_cb_t cb, void *data)
{
	struct mnl_socket *s = mnl_socket_open(NETLINK_ROUTE);
	_Alignas(struct nlmsghdr) char buf[REPLY_BYTES];
	int rc = MNL_CB_OK, e = 0;
	unsigned port;

	if (!s)
		return errno;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) != 0 ||
	    mnl_socket_sendto(s, h, h->nlmsg_len) < 0) {
		e = errno;
		goto out;
	}
	port = mnl_socket_get_portid(s);
	while (rc > MNL_CB_STOP) { /* ends with the acknowledgement or the end of the dump */
		ssize_t n = mnl_socket_recvfrom(s, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			e = n < 0 ? errno : EIO;
			break;
		}
		rc = mnl_cb_run(buf, (size_t)n, 1, port, cb, data);
		if (rc < MNL_CB_STOP)
			e = errno;
	}
out:
	mnl_socket_close(s);
	return e;
}

static int change(struct nlmsghdr *h)
{
	h->nlmsg_flags |= NLM_F_ACK;
	return talk(h, NULL, NULL);
}

static int link_change(unsigned index, bool up, uint32_t mtu, unsigned master)
{
	struct request r;
	struct nlmsghdr *h = request_new(&r, RTM_NEWLINK, 0);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));

	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = (int)index;
	if (up)
		ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	if (mtu)
		mnl_attr_put_u32(h, IFLA_MTU, mtu);
	if (master)
		mnl_attr_put_u32(h, IFLA_MASTER, master);
	return change(h);
}

static int address_add(unsigned index, uint32_t ip, uint8_t prefix)
{
	struct request r;
	struct nlmsghdr *h = request_new(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(h, sizeof(*ifa));

	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = prefix;
	ifa->ifa_scope = RT_SCOPE_UNIVERSE;
	ifa->ifa_index = index;
	mnl_attr_put_u32(h, IFA_LOCAL, htonl(ip));
	mnl_attr_put_u32(h, IFA_ADDRESS, htonl(ip));
	return change(h);
}

/* ip route replace IP/32 dev INDEX src SRC table local: there, because the loopback range's own
 * route is in that table and would win over any other. */
static int route_change(uint16_t type, unsigned index, uint32_t ip, uint32_t src)
{
	struct request r;
	unsigned flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	struct nlmsghdr *h = request_new(&r, type, flags);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));

	rt->rtm_family = AF_INET;
	rt->rtm_dst_len = 32;
	rt->rtm_table = RT_TABLE_LOCAL;
	rt->rtm_protocol = type == RTM_NEWROUTE ? RTPROT_STATIC : RTPROT_UNSPEC;
	rt->rtm_scope = type == RTM_NEWROUTE ? RT_SCOPE_LINK : RT_SCOPE_NOWHERE;
	rt->rtm_type = type == RTM_NEWROUTE ? RTN_UNICAST : RTN_UNSPEC;
	mnl_attr_put_u32(h, RTA_DST, htonl(ip));
	mnl_attr_put_u32(h, RTA_OIF, index);
	if (src)
		mnl_attr_put_u32(h, RTA_PREFSRC, htonl(src));
	return change(h);
}

/* The kernel shows each process the settings of its own network namespace here. */
static int sysctl_set(const char *family, const char *name, const char *key, const char *value)
{
	char path[256];
	int fd, e = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, name, key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (write(fd, value, strlen(value)) < 0)
		e = errno;
	close(fd);
	return e;
}

struct route_search {
	uint32_t ip_be;
	unsigned not_index; /* the route we are about to replace does not count */
	bool unicast_too;
	unsigned found_index;
	bool found_local;
};

struct route {
	uint32_t dst, oif;
};

static int route_attr(const struct nlattr *a, void *data)
{
	struct route *r = data;

	if (mnl_attr_get_type(a) == RTA_DST)
		r->dst = mnl_attr_get_u32(a);
	else if (mnl_attr_get_type(a) == RTA_OIF)
		r->oif = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int route_seen(const struct nlmsghdr *h, void *data)
{
	struct route_search *s = data;
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct route r = {0, 0};

	if (rt->rtm_family != AF_INET || rt->rtm_dst_len != 32)
		return MNL_CB_OK;
	(void)mnl_attr_parse(h, sizeof(*rt), route_attr, &r);
	if (r.dst != s->ip_be || r.oif == 0 || r.oif == s->not_index)
		return MNL_CB_OK;
	if (rt->rtm_type == RTN_LOCAL)
		s->found_local = true;
	else if (rt->rtm_type != RTN_UNICAST || !s->unicast_too ||
		 (rt->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)))
		return MNL_CB_OK;
	s->found_index = r.oif;
	return MNL_CB_OK;
}

enum zk_err tap_host_address_free(const struct port_conf *conf, char *why)
{
	struct route_search s = {.ip_be = htonl(conf->stack_ip),
				 .unicast_too = conf->spec.kind == PORT_TAP};
	char name[IF_NAMESIZE] = "?", text[INET_ADDRSTRLEN];
	struct request r;
	struct nlmsghdr *h = request_new(&r, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	int e;

	if (!conf->stack_ip)
		return ZK_EOK;
	ip_text(conf->stack_ip, text);
	if (conf->stack_ip == conf->tap_host_ip) {
		SAY(why, "address %s cannot be both the server's and the host's", text);
		return ZK_EINVAL;
	}
	if (conf->tap_bridge[0])
		s.not_index = if_nametoindex(conf->tap_bridge);
	rt->rtm_family = AF_INET;
	e = talk(h, route_seen, &s);
	if (e) {
		SAY(why, "cannot read the host's routes: %s", strerror(e));
		return ZK_EIO;
	}
	if (!s.found_index)
		return ZK_EOK;
	if_indextoname(s.found_index, name);
	if (s.found_local)
		SAY(why, "address %s is busy: it belongs to interface %s of this host", text, name);
	else
		SAY(why, "address %s is busy: it is already routed to interface %s", text, name);
	return ZK_EBUSY;
}

/* First address of an interface, 0 = none. */
static uint32_t address_of(const char *name)
{
	struct ifreq ifr = {.ifr_flags = 0};
	struct sockaddr_in sin;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t ip = 0;

	if (fd < 0)
		return 0;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.15s", name);
	if (ioctl(fd, SIOCGIFADDR, &ifr) == 0) {
		memcpy(&sin, &ifr.ifr_addr, sizeof(sin));
		ip = ntohl(sin.sin_addr.s_addr);
	}
	close(fd);
	return ip;
}

static enum zk_err fail(char *why, const char *what, const char *name, int e)
{
	SAY(why, "interface %s: %s: %s", name, what, strerror(e));
	if (e == EPERM || e == EACCES || e == EROFS)
		return ZK_EPERM;
	return e == EEXIST || e == EBUSY ? ZK_EBUSY : e == ENODEV ? ZK_ENOENT : ZK_EIO;
}

/* The interface that faces the host's programs: the TAP, or the bridge it is a member of. */
static enum zk_err face_set_up(const struct port_conf *conf, const char *face, uint32_t src,
			       char *why)
{
	unsigned index = if_nametoindex(face);
	int e;

	if (loopback(conf->stack_ip)) {
		e = sysctl_set("ipv4", face, "route_localnet", "1");
		if (e)
			return fail(why, "cannot set route_localnet", face, e);
	}
	if (!conf->stack_ip || (conf->tap_bridge[0] && !src))
		return ZK_EOK;
	e = route_change(RTM_NEWROUTE, index, conf->stack_ip, src);
	if (e)
		return fail(why, "cannot add the route to the server's address", face, e);
	return ZK_EOK;
}

enum zk_err tap_host_set_up(const struct port_conf *conf, char *why)
{
	const char *name = conf->spec.name;
	unsigned index = if_nametoindex(name);
	bool bridged = conf->tap_bridge[0] != 0;
	int e;

	if (index == 0)
		return fail(why, "is gone", name, ENODEV);
	(void)sysctl_set("ipv6", name, "disable_ipv6", "1"); /* saves chatter; may not exist */
	if (conf->mtu) {
		e = link_change(index, false, conf->mtu, 0);
		if (e)
			return fail(why, "cannot set the MTU", name, e);
	}
	e = link_change(index, true, 0, bridged ? if_nametoindex(conf->tap_bridge) : 0);
	if (e)
		return fail(why, bridged ? "cannot join the bridge" : "cannot set it up", name, e);
	if (bridged)
		return face_set_up(conf, conf->tap_bridge, address_of(conf->tap_bridge), why);
	if (conf->tap_host_ip) {
		e = address_add(index, conf->tap_host_ip, conf->tap_host_prefix);
		if (e)
			return fail(why, "cannot set the host's address", name, e);
	}
	return face_set_up(conf, name, conf->tap_host_ip, why);
}

void tap_host_take_down(const struct port_conf *conf)
{
	unsigned index = if_nametoindex(conf->tap_bridge);

	if (index && conf->stack_ip)
		(void)route_change(RTM_DELROUTE, index, conf->stack_ip, 0);
}
