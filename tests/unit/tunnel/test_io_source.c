// SPDX-License-Identifier: BSD-3-Clause
/*
 * A tunnel between an end that dials and one that listens on any address of a host that has
 * several, with a firewall before the one that dials. Protects: answers leave from the
 * address that the newest authentic datagram was sent to, so they pass; nothing else moves
 * that; and the end that dials leaves its own address to the kernel.
 */
#include <stdlib.h>
#include <string.h>

#include "rt/check.h"
#include "rt/loop.h"
#include "tests/unit/tunnel/both.h"

#define FRAMES 20
#define MOVE_AFTER 100 /* datagrams to one address, before the next one is dialed */
#define HELD_BACK 10   /* of so many datagrams one is late */

/*
 * It carries what the dialing end says to the dialed address, and back what comes from
 * there, to another address of the dialing end than it sends from.
 */
struct firewall {
	struct rt_dgram *door;
	struct rt_addr dialed, astray, dialer;
	bool moves, strangers;
	unsigned carried, passed, kept_out;
	uint8_t held[TUNNEL_DATAGRAM_MAX];
	size_t held_len;
};

static struct rt_addr parsed(const char *text, uint16_t port)
{
	struct rt_addr addr;

	assert_int_equal(rt_addr_parse(text, &addr), 0);
	addr.port = port;
	return addr;
}

static void carry_done(struct rt_op *op, int res)
{
	free(op);
}

static void carry(struct firewall *f, const struct rt_addr *to, const uint8_t *dgram,
		  size_t len)
{
	struct rt_op *op = calloc(1, sizeof(*op) + len);

	assert_non_null(op);
	op->done = carry_done;
	memcpy(op + 1, dgram, len);
	rt_dgram_send(f->door, op, to, op + 1, len, 0);
}

/* Forged, replayed, and late but authentic: all of it to an address that nobody dials. */
static void lead_astray(struct firewall *f, const uint8_t *dgram, size_t len)
{
	uint8_t forged[TUNNEL_DATAGRAM_MAX];

	memcpy(forged, dgram, len);
	forged[len - 1] ^= 1;
	carry(f, &f->astray, forged, len);
	if (f->carried % HELD_BACK == 0) {
		memcpy(f->held, dgram, len);
		f->held_len = len;
		return;
	}
	carry(f, &f->dialed, dgram, len);
	carry(f, &f->astray, dgram, len);
	if (f->held_len > 0)
		carry(f, &f->astray, f->held, f->held_len);
	f->held_len = 0;
}

static void firewall_out(struct firewall *f, const uint8_t *dgram, size_t len,
			 const struct rt_addr *from)
{
	static const uint8_t chosen[4] = { 127, 0, 0, 1 };

	assert_memory_equal(from->ip, chosen, sizeof(chosen));
	f->dialer = *from;
	f->dialer.ip[3] = 5;
	if (++f->carried % MOVE_AFTER == 0 && f->moves)
		f->dialed.ip[3] = f->dialed.ip[3] == 2 ? 3 : 2;
	if (f->strangers)
		lead_astray(f, dgram, len);
	else
		carry(f, &f->dialed, dgram, len);
}

static void firewall_received(void *owner, const uint8_t *dgram, size_t len,
			      const struct rt_addr *from)
{
	struct firewall *f = owner;

	if (from->port != f->dialed.port) {
		firewall_out(f, dgram, len, from);
	} else if (rt_addr_equal(from, &f->dialed)) {
		f->passed++;
		carry(f, &f->dialer, dgram, len);
	} else {
		f->kept_out++;
	}
}

static void firewall_left(void *owner, uint32_t id)
{
}

static void firewall_overflowed(void *owner, uint64_t total)
{
}

static void all_pass(struct firewall *f, const char *listens)
{
	static const struct rt_dgram_events events = { firewall_received, firewall_left,
						       firewall_overflowed, NULL };
	const struct rt_addr at = parsed("127.0.0.1:1", 0);
	struct rt_addr door;
	struct both b;

	local[0] = "udp:0.0.0.0:0";
	local[1] = listens;
	both_init(&b, FRAMES, all_received);
	f->dialed = parsed("127.0.0.2:1", b.side[1].addr.port);
	f->astray = parsed("127.0.0.4:1", b.side[1].addr.port);
	assert_int_equal(rt_dgram_open(b.loop, &at, &events, f, &f->door), 0);
	rt_dgram_addr(f->door, &door);
	tunnel_io_attach(b.side[0].io, b.side[0].t, &door);
	both_run(&b);
	assert_true(f->carried > MOVE_AFTER && f->passed > 0);
	if (f->moves) { /* the next tunnel goes elsewhere, too */
		f->dialed.ip[3] = 6;
		both_replace(&b);
		tunnel_io_attach(b.side[0].io, b.side[0].t, &door);
		both_run(&b);
	}
	rt_dgram_close(f->door);
	both_release(&b);
}

static const char *const listen_on[] = { "udp:0.0.0.0:0", "udp:[::]:0" };

static void answers_leave_from_where_was_dialed(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(listen_on); i++) {
		struct firewall f = { 0 };

		all_pass(&f, listen_on[i]);
		assert_int_equal(f.kept_out, 0);
	}
}

/* The way to the host changes: answers on their way are lost, and the next ones follow. */
static void answers_follow_to_another_address(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(listen_on); i++) {
		struct firewall f = { .moves = true };

		all_pass(&f, listen_on[i]);
	}
}

static void strangers_do_not_move_them(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(listen_on); i++) {
		struct firewall f = { .strangers = true };

		all_pass(&f, listen_on[i]);
		assert_int_equal(f.kept_out, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_leave_from_where_was_dialed),
		cmocka_unit_test(answers_follow_to_another_address),
		cmocka_unit_test(strangers_do_not_move_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
