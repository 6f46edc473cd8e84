/* SPDX-License-Identifier: Apache-2.0 */
/** What only the operating system knows, gathered by the main thread now and then and read by a
 * client core that answers a four-letter word. */
#ifndef ZK_CTL_FACTS_H
#define ZK_CTL_FACTS_H

#include "core/server/srv.h"

/** Look again: open files every time, directories only when @p dirs. May block. Main thread. */
void facts_refresh(const char *data_dir, const char *log_dir, bool dirs);

/** srv_shared.os: what was last seen. Any thread; does not sleep. */
struct srv_os facts_get(void);

#endif
