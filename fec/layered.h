/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_LAYERED_H
#define FEC_LAYERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fec/fec.h"

struct repair_queue;
struct layered_bin;

/*
 * Layered interleaving (Balakrishnan, Marian, Birman, Freedman, Weatherspoon, Freedman:
 * "Maelstrom: Transparent Error Correction for Lambda Networks", NSDI 2008). Layer l owns
 * interleave[l] bins; symbol x joins bin x mod interleave[l] of every layer; a bin that
 * holds r symbols gives their sum as a repair and is empty again.
 *
 * Started all empty, the bins of a layer would fill up one right after the other and then
 * be silent for long. So they follow a timetable that is a function of x alone: in each r
 * successive symbols exactly one bin of a layer is full, and the layers take turns. A bin's
 * first filling, after the start and after a flush, is therefore shorter than r.
 */
struct layered {
	size_t symbol_size;
	uint16_t r, c;
	bool delayed;
	struct layered_layer {
		uint16_t bins,
			run;	 /* run: rounds of the timetable until it would repeat */
		uint16_t ahead;	 /* symbols by which this layer is ahead of the first */
		uint32_t period; /* r * bins */
		struct layered_bin *bin; /* a part of layered.bin */
	} layer[FEC_LAYERS_MAX];
	struct layered_bin *bin; /* owned: of all layers */
	unsigned bins;
	uint8_t *bytes; /* owned: one symbol for each bin */
};

/* 0 or -ENOMEM; the parameters are in range. */
int layered_init(struct layered *ly, const struct fec_params *params);
void layered_release_memory(struct layered *ly);

/* Bins of all layers: the most repairs that one flush makes. */
unsigned layered_bins(const struct fec_params *params);
/* Symbol x is the next one; what it fills goes to `queue`. */
void layered_add(struct layered *ly, uint64_t x, const uint8_t *sym,
		 struct repair_queue *queue);
/* Every bin that holds something gives its repair. */
void layered_flush(struct layered *ly, struct repair_queue *queue);
bool layered_partial(const struct layered *ly);

#endif
