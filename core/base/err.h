/* SPDX-License-Identifier: Apache-2.0 */
/** Result codes.
 *
 * One enumeration serves the whole program. Values <= 0 are ZooKeeper's own codes and go on the
 * wire unchanged (org.apache.zookeeper.KeeperException.Code, spec/client-protocol.md section 9);
 * values > 0 never leave the process.
 */
#ifndef ZK_BASE_ERR_H
#define ZK_BASE_ERR_H

#define ZK_ERR_MAP(X)                                                                              \
	X(ZK_EOK, 0, "ok")                                                                         \
	X(ZK_SYSTEMERROR, -1, "system error")                                                      \
	X(ZK_RUNTIMEINCONSISTENCY, -2, "runtime inconsistency")                                    \
	X(ZK_DATAINCONSISTENCY, -3, "data inconsistency")                                          \
	X(ZK_CONNECTIONLOSS, -4, "connection loss")                                                \
	X(ZK_MARSHALLINGERROR, -5, "marshalling error")                                            \
	X(ZK_UNIMPLEMENTED, -6, "unimplemented")                                                   \
	X(ZK_OPERATIONTIMEOUT, -7, "operation timeout")                                            \
	X(ZK_BADARGUMENTS, -8, "bad arguments")                                                    \
	X(ZK_UNKNOWNSESSION, -12, "unknown session")                                               \
	X(ZK_NEWCONFIGNOQUORUM, -13, "no quorum of new config")                                    \
	X(ZK_RECONFIGINPROGRESS, -14, "reconfig in progress")                                      \
	X(ZK_APIERROR, -100, "api error")                                                          \
	X(ZK_NONODE, -101, "no node")                                                              \
	X(ZK_NOAUTH, -102, "not authorised")                                                       \
	X(ZK_BADVERSION, -103, "bad version")                                                      \
	X(ZK_NOCHILDRENFOREPHEMERALS, -108, "no children for ephemerals")                          \
	X(ZK_NODEEXISTS, -110, "node exists")                                                      \
	X(ZK_NOTEMPTY, -111, "not empty")                                                          \
	X(ZK_SESSIONEXPIRED, -112, "session expired")                                              \
	X(ZK_INVALIDCALLBACK, -113, "invalid callback")                                            \
	X(ZK_INVALIDACL, -114, "invalid acl")                                                      \
	X(ZK_AUTHFAILED, -115, "authentication failed")                                            \
	X(ZK_SESSIONMOVED, -118, "session moved")                                                  \
	X(ZK_NOTREADONLY, -119, "not read-only")                                                   \
	X(ZK_EPHEMERALONLOCALSESSION, -120, "ephemeral on local session")                          \
	X(ZK_NOWATCHER, -121, "no watcher")                                                        \
	X(ZK_REQUESTTIMEOUT, -122, "request timeout")                                              \
	X(ZK_RECONFIGDISABLED, -123, "reconfig disabled")                                          \
	X(ZK_SESSIONCLOSEDREQUIRESASLAUTH, -124, "session closed: sasl required")                  \
	X(ZK_QUOTAEXCEEDED, -125, "quota exceeded")                                                \
	X(ZK_THROTTLEDOP, -127, "throttled")                                                       \
	X(ZK_EAGAIN, 1, "try again")                                                               \
	X(ZK_ENOMEM, 2, "out of memory or budget")                                                 \
	X(ZK_EFULL, 3, "full")                                                                     \
	X(ZK_EEMPTY, 4, "empty")                                                                   \
	X(ZK_EINVAL, 5, "invalid")                                                                 \
	X(ZK_ENOENT, 6, "not found")                                                               \
	X(ZK_EEXIST, 7, "exists")                                                                  \
	X(ZK_ETRUNC, 8, "truncated")                                                               \
	X(ZK_ETOOBIG, 9, "too big")                                                                \
	X(ZK_EIO, 10, "input/output error")                                                        \
	X(ZK_ENOTSUP, 11, "not supported")                                                         \
	X(ZK_ECLOSED, 12, "closed")                                                                \
	X(ZK_EBUSY, 13, "busy")                                                                    \
	X(ZK_EPERM, 14, "not permitted")

enum zk_err {
#define ZK_ERR_ENUM(name, value, text) name = (value),
	ZK_ERR_MAP(ZK_ERR_ENUM)
#undef ZK_ERR_ENUM
};

#define ZK_MUST_USE __attribute__((warn_unused_result))

/** The text of a code; "unknown" for a value outside the enumeration. Static storage, any context.
 */
const char *zk_err_text(enum zk_err err);

#endif
