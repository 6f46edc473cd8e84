/* SPDX-License-Identifier: Apache-2.0 */
/** The password of a session is a pure function of its id, the same on every server
 *  (spec/client-protocol.md section 2). */
#ifndef ZK_SESSION_PASSWORD_H
#define ZK_SESSION_PASSWORD_H

#include <stdint.h>

enum { SESSION_PASSWORD_BYTES = 16 };

void session_password(uint64_t session, uint8_t out[SESSION_PASSWORD_BYTES]);

#endif
