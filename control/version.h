/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_VERSION_H
#define CONTROL_VERSION_H

#define WANMIRROR_VERSION "0.1.0"

/* What both programs end with. */
enum control_exit {
	CONTROL_DONE = 0,
	CONTROL_FAILED = 1,  /* the reason is on standard error */
	CONTROL_USAGE = 2,   /* wrong usage */
	CONTROL_REFUSED = 3, /* for safety; what would force it is on standard error */
};

#endif
