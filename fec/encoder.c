// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "fec/code.h"
#include "fec/fec.h"
#include "fec/layered.h"
#include "fec/repair_queue.h"
#include "fec/rs.h"
#include "fec/sliding.h"
#include "rt/mem.h"

/* Of the codes, only the one that params names has memory. */
struct fec_encoder {
	struct fec_params params;
	uint64_t next;
	struct repair_queue queue; /* also unsent repairs of earlier codes */
	struct sliding sliding;
	struct layered layered;
	struct rs rs;
};

static void encoder_release(struct fec_encoder *enc)
{
	sliding_release_memory(&enc->sliding);
	layered_release_memory(&enc->layered);
	rs_release_memory(&enc->rs);
	repair_queue_release(&enc->queue);
}

/* Repairs that one flush makes at most. */
static unsigned encoder_flushed_max(const struct fec_params *params)
{
	switch (params->code) {
	case FEC_NONE:
		break;
	case FEC_LAYERED:
		return layered_bins(params);
	case FEC_RS:
		return params->c;
	case FEC_WINDOW:
		return 1; /* a change's last one over what leaves the window */
	}
	return 0;
}

/* An encoder before symbol `next`, with room for `extra` repairs that others left. */
static int encoder_init(struct fec_encoder *enc, const struct fec_params *params,
			uint64_t next, unsigned extra)
{
	unsigned slots = extra;
	int err = fec_params_check(params);

	if (err < 0)
		return err;
	*enc = (struct fec_encoder){ .params = *params, .next = next };
	if (params->code == FEC_LAYERED || params->code == FEC_RS)
		slots += FEC_QUEUE_MAX + encoder_flushed_max(params);
	err = repair_queue_init(&enc->queue, params->symbol_size, slots);
	if (err == 0 && params->code == FEC_WINDOW)
		err = sliding_init(&enc->sliding, params->symbol_size, params->window,
				   next);
	if (err == 0 && params->code == FEC_LAYERED)
		err = layered_init(&enc->layered, params);
	if (err == 0 && params->code == FEC_RS)
		err = rs_init(&enc->rs, params);
	if (err < 0)
		encoder_release(enc);
	return err;
}

int fec_encoder_new(const struct fec_params *params, struct fec_encoder **ret)
{
	struct fec_encoder *enc = rt_zalloc(1, sizeof(*enc));
	int err;

	if (!enc)
		return -ENOMEM;
	err = encoder_init(enc, params, 0, 0);
	if (err < 0) {
		rt_free(enc);
		return err;
	}
	*ret = enc;
	return 0;
}

void fec_encoder_free(struct fec_encoder *enc)
{
	if (!enc)
		return;
	encoder_release(enc);
	rt_free(enc);
}

void fec_encoder_add(struct fec_encoder *enc, const uint8_t *sym)
{
	uint64_t x = enc->next++;

	switch (enc->params.code) {
	case FEC_NONE:
		break;
	case FEC_LAYERED:
		layered_add(&enc->layered, x, sym, &enc->queue);
		break;
	case FEC_RS:
		rs_add(&enc->rs, x, sym, &enc->queue);
		break;
	case FEC_WINDOW:
		sliding_add(&enc->sliding, sym);
		break;
	}
}

void fec_encoder_confirm(struct fec_encoder *enc, uint64_t below)
{
	if (enc->params.code == FEC_WINDOW)
		sliding_confirm(&enc->sliding, below);
}

uint64_t fec_encoder_first(const struct fec_encoder *enc)
{
	return enc->params.code == FEC_WINDOW ? enc->sliding.first : enc->next;
}

uint64_t fec_encoder_next(const struct fec_encoder *enc)
{
	return enc->next;
}

bool fec_encoder_repair(struct fec_encoder *enc, struct fec_repair *head, uint8_t *out)
{
	if (repair_queue_pop(&enc->queue, head, out))
		return true;
	if (fec_encoder_first(enc) == enc->next)
		return false;
	sliding_repair(&enc->sliding, head, out);
	return true;
}

unsigned fec_encoder_queued(const struct fec_encoder *enc)
{
	return enc->queue.count;
}

void fec_encoder_flush(struct fec_encoder *enc)
{
	if (enc->params.code == FEC_LAYERED)
		layered_flush(&enc->layered, &enc->queue);
	if (enc->params.code == FEC_RS)
		rs_flush(&enc->rs, &enc->queue);
}

bool fec_encoder_partial(const struct fec_encoder *enc)
{
	if (enc->params.code == FEC_LAYERED)
		return layered_partial(&enc->layered);
	return enc->params.code == FEC_RS && rs_partial(&enc->rs);
}

/* ---- from one code to another ----------------------------------------------------------- */

static bool encoder_same(const struct fec_params *a, const struct fec_params *b)
{
	if (a->code != b->code)
		return false;
	switch (a->code) {
	case FEC_NONE:
		break;
	case FEC_LAYERED:
		return a->r == b->r && a->c == b->c && a->delayed == b->delayed &&
		       memcmp(a->interleave, b->interleave,
			      a->c * sizeof(a->interleave[0])) == 0;
	case FEC_RS:
		return a->r == b->r && a->c == b->c;
	case FEC_WINDOW:
		return a->window == b->window;
	}
	return true;
}

/*
 * Hand on the window as far as the new code has room for it. What leaves and was not yet
 * covered by any repair gets one.
 */
static void encoder_leave_window(struct fec_encoder *enc, struct fec_encoder *next)
{
	struct sliding *old = &enc->sliding;
	uint8_t bytes[FEC_SYMBOL_MAX] __attribute__((aligned(FEC_SYMBOL_ALIGN)));
	struct fec_repair head;

	if (next->params.code == FEC_WINDOW)
		sliding_inherit(&next->sliding, old);
	if (old->first == old->next || old->covered >= fec_encoder_first(next))
		return;
	sliding_repair(old, &head, bytes);
	memcpy(repair_queue_push(&next->queue, &head), bytes, old->symbol_size);
	next->sliding.covered = old->next;
	next->sliding.key = old->key;
}

int fec_encoder_change(struct fec_encoder *enc, const struct fec_params *params)
{
	unsigned left = enc->queue.count + encoder_flushed_max(&enc->params);
	struct fec_encoder next;
	int err;

	if (params->symbol_size != enc->params.symbol_size)
		return -EINVAL;
	err = fec_params_check(params);
	if (err < 0 || encoder_same(params, &enc->params))
		return err;
	err = encoder_init(&next, params, enc->next, left);
	if (err < 0)
		return err;
	fec_encoder_flush(enc);
	while (enc->queue.count)
		repair_queue_move(&next.queue, &enc->queue);
	next.sliding.key = enc->sliding.key;
	if (enc->params.code == FEC_WINDOW)
		encoder_leave_window(enc, &next);
	encoder_release(enc);
	*enc = next;
	return 0;
}
