// SPDX-License-Identifier: BSD-3-Clause
#include "fec/risk.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>

#include "fec/busy_period.h"

#define RISK_RESOLUTION 1e-15
#define RISK_WINDOW_MIN 16

bool fec_path_valid(const struct fec_path *path)
{
	return path->loss >= 0 && path->loss < 1 && path->burst >= 1 &&
	       path->burst <= FEC_BURST_MAX;
}

static bool risk_share_valid(double share)
{
	return share >= FEC_SHARE_MIN && share <= 1;
}

int fec_risk_residual(const struct fec_path *path, unsigned repairs, double share,
		      double *ret)
{
	struct busy_period b;

	if (!fec_path_valid(path) || !risk_share_valid(share) || repairs == 0 ||
	    repairs > FEC_RISK_REPAIRS_MAX)
		return -EINVAL;
	*ret = busy_period_run(&b, path, share, repairs, RISK_RESOLUTION)
		       ? fmin(1, FEC_RISK_MARGIN * busy_period_at_least(&b, repairs))
		       : 1;
	return 0;
}

int fec_risk_repairs(const struct fec_path *path, double safety, double share,
		     unsigned *ret)
{
	struct busy_period b;
	unsigned repairs;

	if (!fec_path_valid(path) || !risk_share_valid(share) ||
	    !(safety > 0 && safety <= 1))
		return -EINVAL;
	if (!busy_period_run_within(&b, path, share, FEC_RISK_REPAIRS_MAX,
				    safety / FEC_RISK_MARGIN))
		return -ERANGE;
	repairs = busy_period_age_within(&b, safety / FEC_RISK_MARGIN);
	if (repairs > FEC_RISK_REPAIRS_MAX)
		return -ERANGE;
	*ret = repairs < FEC_RISK_REPAIRS_MIN ? FEC_RISK_REPAIRS_MIN : repairs;
	return 0;
}

unsigned fec_risk_window(unsigned repairs, double share)
{
	double window = ceil(2 * repairs / share);

	if (!(window < UINT_MAX)) /* also no number at all */
		return UINT_MAX;
	return window < RISK_WINDOW_MIN ? RISK_WINDOW_MIN : (unsigned)window;
}
