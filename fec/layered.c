// SPDX-License-Identifier: BSD-3-Clause
#include "fec/layered.h"

#include <errno.h>
#include <string.h>

#include "fec/gf.h"
#include "fec/repair_queue.h"
#include "rt/check.h"
#include "rt/mem.h"

struct layered_bin {
	uint64_t first; /* symbol of those it holds; the others follow `bins` apart */
	uint16_t count;
	bool held;	/* a full one that waits for the next symbol: delayed */
	uint8_t *bytes; /* their sum */
};

unsigned layered_bins(const struct fec_params *params)
{
	unsigned bins = 0;

	for (unsigned l = 0; l < params->c; l++)
		bins += params->interleave[l];
	return bins;
}

static unsigned layered_gcd(unsigned a, unsigned b)
{
	return b ? layered_gcd(b, a % b) : a;
}

int layered_init(struct layered *ly, const struct fec_params *params)
{
	unsigned at = 0;

	*ly = (struct layered){
		.symbol_size = params->symbol_size,
		.r = params->r,
		.c = params->c,
		.delayed = params->delayed,
		.bins = layered_bins(params),
	};
	if (ly->bins == 0)
		return 0;
	ly->bin = rt_zalloc(ly->bins, sizeof(*ly->bin));
	ly->bytes = rt_alloc_blocks(ly->bins * ly->symbol_size);
	if (!ly->bin || !ly->bytes) {
		layered_release_memory(ly);
		return -ENOMEM;
	}
	for (unsigned l = 0; l < ly->c; l++) {
		unsigned bins = params->interleave[l];

		ly->layer[l] = (struct layered_layer){
			.bins = (uint16_t)bins,
			.run = (uint16_t)(bins / layered_gcd(ly->r, bins)),
			.ahead = (uint16_t)(l * ly->r / ly->c),
			.period = ly->r * bins,
			.bin = ly->bin + at,
		};
		at += bins;
	}
	for (unsigned i = 0; i < ly->bins; i++)
		ly->bin[i].bytes = ly->bytes + i * ly->symbol_size;
	return 0;
}

void layered_release_memory(struct layered *ly)
{
	rt_free(ly->bin);
	rt_free(ly->bytes);
	*ly = (struct layered){ 0 };
}

/*
 * Whether the bin that x joins is full with it. Each bin must be so once in r * bins
 * symbols, and some bin once in r. In round j of r symbols let it be the symbol at r * j +
 * r - 1: that reaches all bins, as long as r and bins share no factor. If they share g, it
 * reaches each bins / g rounds the same ones; then the symbol before is taken, and so on,
 * g <= r times, until the period is over.
 */
static bool layered_is_full(const struct layered *ly, const struct layered_layer *layer,
			    uint64_t x)
{
	uint32_t at = (uint32_t)((x + layer->ahead) % layer->period);
	uint32_t round = at / ly->r;

	return at % ly->r == ly->r - 1u - round / layer->run;
}

static struct fec_repair layered_head(const struct layered_layer *layer,
				      const struct layered_bin *bin)
{
	return (struct fec_repair){ .first = bin->first,
				    .count = bin->count,
				    .stride = layer->bins,
				    .kind = FEC_XOR };
}

static void layered_give(const struct layered *ly, const struct layered_layer *layer,
			 struct layered_bin *bin, struct repair_queue *queue)
{
	struct fec_repair head = layered_head(layer, bin);

	memcpy(repair_queue_push(queue, &head), bin->bytes, ly->symbol_size);
	bin->count = 0;
	bin->held = false;
}

static void layer_add(const struct layered *ly, const struct layered_layer *layer,
		      uint64_t x, const uint8_t *sym, struct repair_queue *queue)
{
	struct layered_bin *bin = &layer->bin[x % layer->bins];
	bool full = layered_is_full(ly, layer, x);
	struct fec_repair head;

	if (bin->held)
		layered_give(ly, layer, bin, queue);
	if (bin->count == 0)
		bin->first = x;
	bin->count++;
	rt_assert(bin->count <= ly->r);
	bin->held = full && ly->delayed;
	if (!full || ly->delayed) {
		if (bin->count == 1)
			memcpy(bin->bytes, sym, ly->symbol_size);
		else
			gf_xor(bin->bytes, bin->bytes, sym, ly->symbol_size);
		return;
	}
	head = layered_head(layer, bin);
	if (bin->count == 1)
		memcpy(repair_queue_push(queue, &head), sym, ly->symbol_size);
	else
		gf_xor(repair_queue_push(queue, &head), bin->bytes, sym, ly->symbol_size);
	bin->count = 0;
}

void layered_add(struct layered *ly, uint64_t x, const uint8_t *sym,
		 struct repair_queue *queue)
{
	for (unsigned l = 0; l < ly->c; l++)
		layer_add(ly, &ly->layer[l], x, sym, queue);
}

void layered_flush(struct layered *ly, struct repair_queue *queue)
{
	for (unsigned l = 0; l < ly->c; l++) {
		struct layered_layer *layer = &ly->layer[l];

		for (unsigned i = 0; i < layer->bins; i++)
			if (layer->bin[i].count)
				layered_give(ly, layer, &layer->bin[i], queue);
	}
}

bool layered_partial(const struct layered *ly)
{
	for (unsigned i = 0; i < ly->bins; i++)
		if (ly->bin[i].count)
			return true;
	return false;
}
