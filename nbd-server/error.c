// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "nbd-server/error.h"
#include "nbd-server/protocol.h"

uint32_t nbds_error(int res)
{
	switch (-res) {
	case 0:
		return NBDS_OK;
	case EPERM:
	case EROFS:
	case EACCES:
		return NBDS_EPERM;
	case ENOMEM:
	case EDQUOT: /* map_memory is used up: the store may have room */
		return NBDS_ENOMEM;
	case EINVAL:
		return NBDS_EINVAL;
	case ENOSPC:
	case EFBIG:
		return NBDS_ENOSPC;
	case ENOTSUP:
		return NBDS_ENOTSUP;
	case ESHUTDOWN:
	case EAGAIN: /* the group serves no longer, or not yet */
		return NBDS_ESHUTDOWN;
	default:
		return NBDS_EIO;
	}
}
