/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_PLAN_H
#define CONTROL_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "fec/fec.h"
#include "fec/redundancy.h"

/*
 * `wanmirror plan`: what a link costs and what risk it leaves, before there is one. Pure, but
 * for what it prints.
 */
struct plan_question {
	struct fec_goal goal; /* assume: the line as it is said to be */
	struct fec_params code;
	uint64_t rate_bps;
	double rtt_ms;
};

enum plan_gate {
	PLAN_REPAIRS,	   /* a write completes when its repairs have left */
	PLAN_RECEIVED,	   /* the code has no repairs: when the mirror has it */
	PLAN_TOO_FEW,	   /* the same, as the code has fewer than the goal asks for */
	PLAN_OUT_OF_REACH, /* the same, as no number of repairs reaches the goal */
};

#define PLAN_NOTES 8
#define PLAN_NOTE_TEXT 160

struct plan_answer {
	enum plan_gate gate;
	struct fec_redundancy redundancy;
	double share; /* repairs per data symbol, while data flows */
	/* Datagrams from a write's first to the one that completes it, and their time. */
	double lone_datagrams, lone_ms; /* a write of 4 KiB on an idle line */
	double busy_datagrams, busy_ms; /* in a flow of data */
	double goodput_bps;
	unsigned notes;
	char note[PLAN_NOTES][PLAN_NOTE_TEXT];
};

/* 0, or -EINVAL when the question is out of range. */
int plan_weigh(const struct plan_question *q, struct plan_answer *ret);
void plan_print(const struct plan_question *q, const struct plan_answer *a, FILE *out);
/* 0 or -ENOMEM. */
int plan_print_json(const struct plan_question *q, const struct plan_answer *a,
		    FILE *out);

#endif
