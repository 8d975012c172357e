// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/sim_impl.h"
void sim_socks_crash(struct sim_node *node, enum sim_crash kind)
{
}
void sim_conns_free(struct sim_world *w)
{
}
