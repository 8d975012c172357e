/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_TUNNEL_PARAMS_H
#define TESTS_UNIT_TUNNEL_PARAMS_H

#include "replicator/tunnel/tunnel.h"

/*
 * A tunnel whose redundancy is not what is tested: the window code with so many repairs
 * for all that leaves, and a fixed share of repairs for each symbol. Also for the
 * simulator and the bench.
 */
static inline struct tunnel_fec params_fec(unsigned repairs, double share)
{
	return (struct tunnel_fec){
		.code = { .code = FEC_WINDOW, .window = 128 },
		.goal = { .safety = 1e-6,
			  .assume = { 0.01, 1 },
			  .min = 0.03,
			  .max = 0.5,
			  .share = share },
		.on_demand = true,
		.repairs_fixed = true,
		.repairs = repairs,
	};
}

/* Both ends of it are equal but for `dialed`; what it carries at the most is said. */
static inline struct tunnel_params params_tunnel(uint64_t id, size_t memory,
						 uint32_t frame_max)
{
	return (struct tunnel_params){
		.id = id,
		.fec = params_fec(3, 0.125),
		.symbol_size = 1408,
		.send_memory = memory,
		.receive_memory = memory,
		.frame_max = frame_max,
		.evidence = TUNNEL_DRIVER,
		.timeout_ns = 5 * RT_S,
	};
}

#endif
