// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nbd-server/handshake.h"
#include "nbd-server/protocol.h"
#include "rt/check.h"

static_assert(sizeof(struct nbds_option_head) + NBDS_OPTION_DATA_MAX ==
		      NBDS_HANDSHAKE_INPUT,
	      "an option fits the input");
static_assert(4 * sizeof(struct nbds_option_reply) + sizeof(struct nbds_info_export) +
			      sizeof(struct nbds_info_block_size) + 2 + NBDS_NAME_MAX <=
		      NBDS_HANDSHAKE_ROOM,
	      "the answers to GO fit the output");

/* One answer to LIST at its longest. */
#define HANDSHAKE_LIST_ANSWER                                                            \
	(sizeof(struct nbds_option_reply) + sizeof(be32) + NBDS_NAME_MAX)

#define HANDSHAKE_STOPPING "the server is stopping"
#define HANDSHAKE_LONG_NAME "the name of the export is too long"

/* The one place where the state changes; an end is never left. */
static void handshake_set_state(struct nbds_handshake *hs, enum nbds_handshake_state next)
{
	switch (hs->state) {
	case NBDS_HS_GREETING:
		rt_assert(next == NBDS_HS_FLAGS);
		break;
	case NBDS_HS_FLAGS:
		rt_assert(next == NBDS_HS_OPTION || next == NBDS_HS_BROKEN);
		break;
	case NBDS_HS_OPTION:
		rt_assert(next != NBDS_HS_GREETING && next != NBDS_HS_FLAGS);
		break;
	case NBDS_HS_LISTING:
	case NBDS_HS_SKIPPING:
		rt_assert(next == NBDS_HS_OPTION);
		break;
	case NBDS_HS_DONE:
	case NBDS_HS_ABORTED:
	case NBDS_HS_BROKEN:
		rt_assert(!"left an end of the handshake");
	}
	hs->state = next;
}

void nbds_handshake_init(struct nbds_handshake *hs, const struct nbds_catalog *catalog)
{
	*hs = (struct nbds_handshake){ .state = NBDS_HS_GREETING, .catalog = catalog };
}

/* ---- output ------------------------------------------------------------------------ */

static size_t handshake_room(const struct nbds_handshake_io *io)
{
	return io->out_size - io->out_len;
}

static void handshake_put(struct nbds_handshake_io *io, const void *p, size_t len)
{
	rt_assert(len <= handshake_room(io));
	memcpy(io->out + io->out_len, p, len);
	io->out_len += len;
}

/* The head of one answer; `len` bytes of data must follow. */
static void handshake_answer(struct nbds_handshake_io *io, uint32_t option, uint32_t type,
			     size_t len)
{
	struct nbds_option_reply reply = {
		.magic = be64_make(NBDS_OPTION_REPLY_MAGIC),
		.option = be32_make(option),
		.type = be32_make(type),
		.len = be32_make((uint32_t)len),
	};

	handshake_put(io, &reply, sizeof(reply));
}

static void handshake_refuse(struct nbds_handshake *hs, struct nbds_handshake_io *io,
			     uint32_t option, uint32_t type, const char *text)
{
	hs->refused++;
	hs->refused_option = option;
	hs->refused_why = text;
	hs->missing[0] = 0;
	handshake_answer(io, option, type, strlen(text));
	handshake_put(io, text, strlen(text));
}

/* The client breaks the protocol: `why`, a static text for people. */
static int handshake_break(struct nbds_handshake *hs, const char *why)
{
	hs->broken_why = why;
	hs->missing[0] = 0;
	return -EPROTO;
}

/* ---- the options ------------------------------------------------------------------- */

/* One option with all of its data. */
struct option {
	uint32_t code;
	const uint8_t *data;
	uint32_t len;
};

/* As the catalog's find(); a client that asks early is kept waiting for a while. */
static int option_find(struct nbds_handshake *hs, const char *name, uint32_t len,
		       struct nbds_export *ret)
{
	int err = hs->catalog->find(hs->catalog->owner, name, len, ret);

	hs->waiting = err == -EAGAIN && !hs->late;
	return err;
}

/* For people: of a name that has zeroes in it, the part before them. */
static void option_missing(struct nbds_handshake *hs, const char *name, uint32_t len)
{
	size_t most = sizeof(hs->missing) - 1;

	(void)snprintf(hs->missing, sizeof(hs->missing), "%.*s",
		       (int)(len < most ? len : most), name);
}

static const char *option_find_why(int err, uint32_t len)
{
	if (err == -EAGAIN)
		return "this export is not being served now";
	return len > 0 ? "no export of this name; LIST has those that there are"
		       : "there is more than one export: ask for one by its name";
}

static int option_export_name(struct nbds_handshake *hs, struct nbds_handshake_io *io,
			      const struct option *opt)
{
	struct nbds_export_answer answer = { 0 };
	const char *name = (const char *)opt->data;
	int err;

	/* There is no way to refuse this option but to hang up. */
	if (opt->len > NBDS_NAME_MAX)
		return handshake_break(hs, HANDSHAKE_LONG_NAME);
	err = option_find(hs, name, opt->len, &hs->chosen);
	if (hs->waiting)
		return 0;
	if (err) {
		err = handshake_break(hs, option_find_why(err, opt->len));
		option_missing(hs, name, opt->len);
		return err;
	}
	answer.size = be64_make(hs->chosen.size);
	answer.flags = be16_make(hs->chosen.flags);
	handshake_put(io, &answer,
		      hs->no_zeroes ? NBDS_EXPORT_ANSWER_SHORT : sizeof(answer));
	handshake_set_state(hs, NBDS_HS_DONE);
	return 0;
}

static void option_list(struct nbds_handshake *hs, struct nbds_handshake_io *io,
			const struct option *opt)
{
	if (opt->len != 0) {
		handshake_refuse(hs, io, opt->code, NBDS_REP_ERR_INVALID,
				 "LIST has no data");
		return;
	}
	hs->listed = 0;
	handshake_set_state(hs, NBDS_HS_LISTING);
}

/* As many names as there is room for, and at last the end of the list. */
static void handshake_list(struct nbds_handshake *hs, struct nbds_handshake_io *io)
{
	const char *name;

	if (hs->stopping) {
		handshake_refuse(hs, io, NBDS_OPT_LIST, NBDS_REP_ERR_SHUTDOWN,
				 HANDSHAKE_STOPPING);
		handshake_set_state(hs, NBDS_HS_OPTION);
		return;
	}
	while (handshake_room(io) >= HANDSHAKE_LIST_ANSWER) {
		be32 len;

		name = hs->catalog->name(hs->catalog->owner, hs->listed);
		if (!name) {
			handshake_answer(io, NBDS_OPT_LIST, NBDS_REP_ACK, 0);
			handshake_set_state(hs, NBDS_HS_OPTION);
			return;
		}
		len = be32_make((uint32_t)strlen(name));
		handshake_answer(io, NBDS_OPT_LIST, NBDS_REP_SERVER,
				 sizeof(len) + strlen(name));
		handshake_put(io, &len, sizeof(len));
		handshake_put(io, name, strlen(name));
		hs->listed++;
	}
}

/* What INFO and GO carry: a name, and the list of what the client would like to know. */
struct info_query {
	const char *name;
	uint32_t name_len;
	bool wants_name;
};

static int info_query_decode(const struct option *opt, struct info_query *ret)
{
	const uint8_t *p = opt->data;
	uint32_t left = opt->len;
	uint32_t name_len;
	unsigned i, n;

	if (left < 6)
		return -EPROTO;
	name_len = be32_get(*(const be32 *)p);
	p += 4;
	left -= 6;
	if (name_len > left)
		return -EPROTO;
	if (name_len > NBDS_NAME_MAX)
		return -E2BIG;
	*ret = (struct info_query){ (const char *)p, name_len, false };
	p += name_len;
	left -= name_len;
	n = be16_get(*(const be16 *)p);
	p += 2;
	if (left != n * 2)
		return -EPROTO;
	for (i = 0; i < n; i++)
		if (be16_get(*(const be16 *)(p + (size_t)i * 2)) == NBDS_INFO_NAME)
			ret->wants_name = true;
	return 0;
}

static void handshake_info_answer(struct nbds_handshake_io *io, uint32_t option,
				  const struct info_query *query,
				  const struct nbds_export *export)
{
	struct nbds_info_export info = {
		.type = be16_make(NBDS_INFO_EXPORT),
		.size = be64_make(export->size),
		.flags = be16_make(export->flags),
	};
	struct nbds_info_block_size sizes = {
		.type = be16_make(NBDS_INFO_BLOCK_SIZE),
		.minimum = be32_make(1),
		.preferred = be32_make(NBDS_PREFERRED),
		.maximum = be32_make(NBDS_REQUEST_MAX),
	};

	if (query->wants_name) {
		be16 type = be16_make(NBDS_INFO_NAME);
		size_t len = strlen(export->name);

		handshake_answer(io, option, NBDS_REP_INFO, sizeof(type) + len);
		handshake_put(io, &type, sizeof(type));
		handshake_put(io, export->name, len);
	}
	/* Unasked for, too: we cope with any size, but the client does well to know. */
	handshake_answer(io, option, NBDS_REP_INFO, sizeof(sizes));
	handshake_put(io, &sizes, sizeof(sizes));
	handshake_answer(io, option, NBDS_REP_INFO, sizeof(info));
	handshake_put(io, &info, sizeof(info));
	handshake_answer(io, option, NBDS_REP_ACK, 0);
}

static void option_info_or_go(struct nbds_handshake *hs, struct nbds_handshake_io *io,
			      const struct option *opt)
{
	struct nbds_export export;
	struct info_query query;
	int err;

	err = info_query_decode(opt, &query);
	if (err) {
		handshake_refuse(hs, io, opt->code,
				 err == -E2BIG ? NBDS_REP_ERR_TOO_BIG
					       : NBDS_REP_ERR_INVALID,
				 "lengths do not fit");
		return;
	}
	err = option_find(hs, query.name, query.name_len, &export);
	if (hs->waiting)
		return;
	if (err) {
		handshake_refuse(hs, io, opt->code, NBDS_REP_ERR_UNKNOWN,
				 option_find_why(err, query.name_len));
		option_missing(hs, query.name, query.name_len);
		return;
	}
	handshake_info_answer(io, opt->code, &query, &export);
	if (opt->code == NBDS_OPT_GO) {
		hs->chosen = export;
		handshake_set_state(hs, NBDS_HS_DONE);
	}
}

/* Options whose data matter; all others are answered before their data are there. */
static bool option_reads_data(uint32_t code)
{
	return code == NBDS_OPT_EXPORT_NAME || code == NBDS_OPT_LIST ||
	       code == NBDS_OPT_INFO || code == NBDS_OPT_GO;
}

static int handshake_serve(struct nbds_handshake *hs, struct nbds_handshake_io *io,
			   const struct option *opt)
{
	if (hs->stopping && opt->code != NBDS_OPT_ABORT) {
		if (opt->code == NBDS_OPT_EXPORT_NAME) /* it has no answer that refuses */
			return handshake_break(hs, HANDSHAKE_STOPPING);
		handshake_refuse(hs, io, opt->code, NBDS_REP_ERR_SHUTDOWN,
				 HANDSHAKE_STOPPING);
		return 0;
	}
	switch (opt->code) {
	case NBDS_OPT_EXPORT_NAME:
		return option_export_name(hs, io, opt);
	case NBDS_OPT_LIST:
		option_list(hs, io, opt);
		return 0;
	case NBDS_OPT_INFO:
	case NBDS_OPT_GO:
		option_info_or_go(hs, io, opt);
		return 0;
	case NBDS_OPT_ABORT:
		handshake_answer(io, opt->code, NBDS_REP_ACK, 0);
		handshake_set_state(hs, NBDS_HS_ABORTED);
		return 0;
	default:
		handshake_refuse(hs, io, opt->code, NBDS_REP_ERR_UNSUP,
				 "this server does not have this option");
		return 0;
	}
}

/* ---- input ------------------------------------------------------------------------- */

/* 1: went on; 0: more input is needed; -EPROTO. */
static int handshake_option(struct nbds_handshake *hs, struct nbds_handshake_io *io)
{
	const uint8_t *p = io->in + io->in_used;
	size_t left = io->in_len - io->in_used;
	const struct nbds_option_head *head = (const void *)p;
	struct option opt;
	int err;

	if (left < sizeof(*head))
		return 0;
	if (be64_get(head->magic) != NBDS_OPTION_MAGIC)
		return handshake_break(hs, "no option begins like this: is it an NBD "
					   "client, and one without TLS?");
	opt = (struct option){ be32_get(head->option), p + sizeof(*head),
			       be32_get(head->len) };
	/* Who is not fixed newstyle does not understand any answer but this option's. */
	if (opt.code != NBDS_OPT_EXPORT_NAME && !hs->fixed)
		return handshake_break(hs, "a client without the fixed newstyle has no "
					   "option but EXPORT_NAME");
	if (!option_reads_data(opt.code) || opt.len > NBDS_OPTION_DATA_MAX) {
		if (opt.code == NBDS_OPT_EXPORT_NAME)
			return handshake_break(hs, HANDSHAKE_LONG_NAME);
		io->in_used += sizeof(*head);
		if (option_reads_data(opt.code))
			handshake_refuse(hs, io, opt.code, NBDS_REP_ERR_TOO_BIG,
					 "too much data");
		else
			(void)handshake_serve(hs, io, &opt); /* fails for none of these */
		if (hs->state == NBDS_HS_OPTION && opt.len > 0) {
			hs->skip = opt.len;
			handshake_set_state(hs, NBDS_HS_SKIPPING);
		}
		return 1;
	}
	if (left - sizeof(*head) < opt.len)
		return 0;
	err = handshake_serve(hs, io, &opt);
	if (hs->waiting)
		return 0;
	io->in_used += sizeof(*head) + opt.len;
	return err ? err : 1;
}

static int handshake_flags(struct nbds_handshake *hs, struct nbds_handshake_io *io)
{
	const be32 *p = (const void *)(io->in + io->in_used);
	uint32_t flags;

	if (io->in_len - io->in_used < sizeof(*p))
		return 0;
	flags = be32_get(*p);
	if (flags & ~NBDS_HELLO_KNOWN)
		return handshake_break(hs, "flags that no NBD client sets: is it one, "
					   "and one without TLS?");
	io->in_used += sizeof(*p);
	hs->fixed = flags & NBDS_HELLO_FIXED_NEWSTYLE;
	hs->no_zeroes = flags & NBDS_HELLO_NO_ZEROES;
	handshake_set_state(hs, NBDS_HS_OPTION);
	return 1;
}

static int handshake_greet(struct nbds_handshake *hs, struct nbds_handshake_io *io)
{
	struct nbds_greeting greeting = {
		.magic = be64_make(NBDS_MAGIC),
		.option_magic = be64_make(NBDS_OPTION_MAGIC),
		.flags = be16_make(NBDS_HELLO_KNOWN),
	};

	handshake_put(io, &greeting, sizeof(greeting));
	handshake_set_state(hs, NBDS_HS_FLAGS);
	return 1;
}

static int handshake_skip(struct nbds_handshake *hs, struct nbds_handshake_io *io)
{
	size_t n = io->in_len - io->in_used;

	if (n > hs->skip)
		n = hs->skip;
	io->in_used += n;
	hs->skip -= (uint32_t)n;
	if (hs->skip > 0)
		return 0;
	handshake_set_state(hs, NBDS_HS_OPTION);
	return 1;
}

/* One step: as handshake_option(). */
static int handshake_step(struct nbds_handshake *hs, struct nbds_handshake_io *io)
{
	switch (hs->state) {
	case NBDS_HS_GREETING:
		return handshake_greet(hs, io);
	case NBDS_HS_FLAGS:
		return handshake_flags(hs, io);
	case NBDS_HS_OPTION:
		return handshake_option(hs, io);
	case NBDS_HS_LISTING:
		handshake_list(hs, io);
		return 1;
	case NBDS_HS_SKIPPING:
		return handshake_skip(hs, io);
	case NBDS_HS_DONE:
	case NBDS_HS_ABORTED:
	case NBDS_HS_BROKEN:
		return 0;
	}
	rt_assert(!"no such state");
	return 0;
}

int nbds_handshake_run(struct nbds_handshake *hs, struct nbds_handshake_io *io)
{
	int more = 1;

	rt_assert(io->out_size >= NBDS_HANDSHAKE_ROOM);
	hs->waiting = false;
	io->in_used = 0;
	io->out_len = 0;
	/* Each step asks for room for the longest answer, or for its own. */
	while (more > 0 && handshake_room(io) >= NBDS_HANDSHAKE_ROOM)
		more = handshake_step(hs, io);
	if (more >= 0)
		return 0;
	handshake_set_state(hs, NBDS_HS_BROKEN);
	return more;
}
