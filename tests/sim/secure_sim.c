// SPDX-License-Identifier: BSD-3-Clause
/*
 * secure.h for the simulator. GnuTLS takes its own randomness and its own time, so its
 * bytes differ from run to run. This has as many messages and round trips as TLS 1.3, is
 * as unforgiving towards a wrong key or an altered byte, and is a function of its seed.
 * Nobody could call it secure: it encrypts nothing.
 *
 *	client                           server
 *	HELLO(32 random, purpose, group)  --->
 *	                           <---  ANSWER(its 32 random bytes)
 *	FINISH                     --->
 *	DATA ... BYE               <-->  DATA ... BYE
 *
 * Before HELLO anybody may say ASK, which takes no key, and is answered by RETRY.
 */
#include "tests/sim/secure_sim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replicator/tunnel/secure.h"
#include "replicator/tunnel/secure_queue.h"
#include "rt/bytes.h"
#include "rt/check.h"
#include "rt/hash.h"
#include "rt/mem.h"

#define SIM_NONCE_LEN 32
#define SIM_HELLO_LEN (SIM_NONCE_LEN + 1 + SECURE_GROUP_MAX + 1)
#define SIM_PAYLOAD_MAX 16384

enum sim_type {
	SIM_HELLO = 1,
	SIM_ANSWER,
	SIM_FINISH,
	SIM_DATA,
	SIM_BYE,
	SIM_ALERT,
	SIM_ASK,
	SIM_RETRY,
};

struct sim_head {
	uint8_t magic[2];
	uint8_t type;
	uint8_t zero;
	le32 len; /* of what follows */
	le64 tag; /* over type, number of the message, length and payload */
};
_Static_assert(sizeof(struct sim_head) == 16, "wire size");

static const uint8_t sim_magic[2] = { 0xa5, 'S' };

enum sim_state { SIM_WAIT_HELLO, SIM_WAIT_ANSWER, SIM_WAIT_FINISH, SIM_OPEN, SIM_FAILED };

struct secure {
	bool client;
	enum secure_purpose purpose;
	bool said_bye, heard_bye;
	enum sim_state state;
	const char *why; /* FAILED: static text */
	uint8_t key[SECURE_KEY_LEN];
	char group[SECURE_GROUP_MAX + 1]; /* zeros behind it */
	uint8_t nonce[2]
		     [SIM_NONCE_LEN]; /* the client's, the server's; zero before known */
	uint64_t sent, taken;	      /* messages */
	struct secure_queue in, out, plain;
};

static uint64_t sim_seed, sim_drawn;

void secure_sim_seed(uint64_t seed)
{
	sim_seed = seed;
	sim_drawn = 0;
}

/* ---- the secret ----------------------------------------------------------------- */

/* A number from key, both nonces as far as known, and `what`. */
static uint64_t sim_derive(const struct secure *s, uint64_t index, const void *what,
			   size_t len)
{
	uint64_t chain = rt_siphash(index, 1, s->key, sizeof(s->key));

	chain = rt_siphash(chain, 2, s->nonce, sizeof(s->nonce));
	return rt_siphash(chain, 3, what, len);
}

static uint64_t sim_tag(const struct secure *s, bool from_client, uint64_t number,
			uint8_t type, const uint8_t *payload, size_t len)
{
	uint8_t what[2] = { from_client, type };

	return rt_siphash(sim_derive(s, number, what, sizeof(what)), len, payload, len);
}

/* ---- sending -------------------------------------------------------------------- */

static int sim_say(struct secure *s, enum sim_type type, const void *payload, size_t len)
{
	uint8_t msg[sizeof(struct sim_head) + SIM_PAYLOAD_MAX];
	struct sim_head head = {
		.magic = { sim_magic[0], sim_magic[1] },
		.type = (uint8_t)type,
		.len = le32_make((uint32_t)len),
		.tag = le64_make(sim_tag(s, s->client, s->sent, type, payload, len)),
	};

	memcpy(msg, &head, sizeof(head));
	if (len)
		memcpy(msg + sizeof(head), payload, len);
	s->sent++;
	return secure_queue_put(&s->out, msg, sizeof(head) + len);
}

static void sim_fail(struct secure *s, const char *why)
{
	if (s->state == SIM_FAILED)
		return;
	s->state = SIM_FAILED;
	s->why = why;
	(void)sim_say(s, SIM_ALERT, NULL, 0); /* the other side would like to know */
}

/* ---- receiving ------------------------------------------------------------------ */

static void sim_take_handshake(struct secure *s, uint8_t type, const uint8_t *payload)
{
	if (s->state == SIM_WAIT_HELLO && type == SIM_HELLO) {
		memcpy(s->nonce[0], payload, SIM_NONCE_LEN);
		if (payload[SIM_NONCE_LEN] > SECURE_DATA ||
		    memcmp(payload + SIM_NONCE_LEN + 1, s->group, sizeof(s->group)) !=
			    0) {
			sim_fail(s, "an unexpected message");
			return;
		}
		s->purpose = (enum secure_purpose)payload[SIM_NONCE_LEN];
		s->state = SIM_WAIT_FINISH;
		if (sim_say(s, SIM_ANSWER, s->nonce[1], SIM_NONCE_LEN) < 0)
			sim_fail(s, "out of memory");
	} else if (s->state == SIM_WAIT_ANSWER && type == SIM_ANSWER) {
		memcpy(s->nonce[1], payload, SIM_NONCE_LEN);
		s->state = SIM_OPEN;
		if (sim_say(s, SIM_FINISH, NULL, 0) < 0)
			sim_fail(s, "out of memory");
	} else if (s->state == SIM_WAIT_FINISH && type == SIM_FINISH) {
		s->state = SIM_OPEN;
	} else {
		sim_fail(s, "an unexpected message");
	}
}

static void sim_take(struct secure *s, const struct sim_head *head,
		     const uint8_t *payload, size_t len)
{
	/* ANSWER brings the nonce under which it is tagged itself; HELLO likewise. */
	struct secure as = *s;

	if (head->type == SIM_ASK && s->state == SIM_WAIT_HELLO) {
		if (sim_say(s, SIM_RETRY, NULL, 0) < 0)
			sim_fail(s, "out of memory");
		return;
	}
	if (head->type == SIM_ALERT) {
		s->state = SIM_FAILED;
		s->why = "the peer refused us (does it have another key?)";
		return;
	}
	if (head->type == SIM_HELLO) {
		memcpy(as.nonce[0], payload, SIM_NONCE_LEN);
		memset(as.nonce[1], 0, SIM_NONCE_LEN);
	}
	if (head->type == SIM_ANSWER)
		memcpy(as.nonce[1], payload, SIM_NONCE_LEN);
	if (le64_get(head->tag) !=
	    sim_tag(&as, !s->client, s->taken, head->type, payload, len)) {
		sim_fail(s, "the peer does not have our key, or its bytes were altered");
		return;
	}
	s->taken++;
	if (s->state != SIM_OPEN)
		sim_take_handshake(s, head->type, payload);
	else if (head->type == SIM_BYE)
		s->heard_bye = true;
	else if (head->type != SIM_DATA || s->heard_bye)
		sim_fail(s, "an unexpected message");
	else if (secure_queue_put(&s->plain, payload, len) < 0)
		sim_fail(s, "more arrives than is read");
}

static bool sim_head_ok(const struct sim_head *head)
{
	uint32_t len = le32_get(head->len);

	switch (head->type) {
	case SIM_HELLO:
		return head->zero == 0 && len == SIM_HELLO_LEN;
	case SIM_ANSWER:
		return head->zero == 0 && len == SIM_NONCE_LEN;
	case SIM_FINISH:
	case SIM_BYE:
	case SIM_ALERT:
	case SIM_ASK:
		return head->zero == 0 && len == 0;
	case SIM_DATA:
		return head->zero == 0 && len <= SIM_PAYLOAD_MAX;
	default:
		return false;
	}
}

/* Take the next whole message, if there is one. */
static bool sim_step(struct secure *s)
{
	uint8_t msg[sizeof(struct sim_head) + SIM_PAYLOAD_MAX];
	const uint8_t *at = s->in.bytes + s->in.head;
	size_t have = secure_queue_len(&s->in), magic = have < 2 ? have : 2;
	struct sim_head head;

	if (have == 0 || s->state == SIM_FAILED)
		return false;
	if (memcmp(at, sim_magic, magic) != 0) {
		sim_fail(s, "these bytes are no handshake");
		return false;
	}
	if (have < sizeof(head))
		return false;
	memcpy(&head, at, sizeof(head));
	if (!sim_head_ok(&head)) {
		sim_fail(s, "a malformed message");
		return false;
	}
	if (have < sizeof(head) + le32_get(head.len))
		return false;
	(void)secure_queue_take(&s->in, msg, sizeof(head) + le32_get(head.len));
	sim_take(s, &head, msg + sizeof(head), le32_get(head.len));
	return true;
}

/* ---- secure.h ------------------------------------------------------------------- */

static int sim_new(bool client, enum secure_purpose purpose, const char *group,
		   const uint8_t key[SECURE_KEY_LEN], struct secure **ret)
{
	struct secure *s = rt_zalloc(1, sizeof(*s));
	uint8_t hello[SIM_HELLO_LEN];

	if (!s)
		return -ENOMEM;
	s->client = client;
	s->purpose = purpose;
	s->state = client ? SIM_WAIT_ANSWER : SIM_WAIT_HELLO;
	memcpy(s->key, key, SECURE_KEY_LEN);
	(void)snprintf(s->group, sizeof(s->group), "%s", group);
	for (unsigned i = 0; i < SIM_NONCE_LEN; i += 8) {
		le64 word = le64_make(
			rt_siphash(sim_seed, sim_drawn++, "nonce", sizeof("nonce")));

		memcpy(s->nonce[!client] + i, &word, 8);
	}
	memcpy(hello, s->nonce[0], SIM_NONCE_LEN);
	hello[SIM_NONCE_LEN] = (uint8_t)purpose;
	memcpy(hello + SIM_NONCE_LEN + 1, s->group, sizeof(s->group));
	if (client && sim_say(s, SIM_HELLO, hello, sizeof(hello)) < 0) {
		secure_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

int secure_dial(enum secure_purpose purpose, const char *group,
		const uint8_t key[SECURE_KEY_LEN], struct secure **ret)
{
	return sim_new(true, purpose, group, key, ret);
}

int secure_accept(const char *group, const uint8_t key[SECURE_KEY_LEN],
		  struct secure **ret)
{
	return sim_new(false, SECURE_CONTROL, group, key, ret);
}

enum secure_purpose secure_purpose(const struct secure *s)
{
	return s->purpose;
}

void secure_free(struct secure *s)
{
	if (!s)
		return;
	secure_queue_release(&s->in);
	secure_queue_release(&s->out);
	secure_queue_release(&s->plain);
	rt_free(s);
}

int secure_input(struct secure *s, const uint8_t *bytes, size_t len, const char **why)
{
	if (s->state != SIM_FAILED && secure_queue_put(&s->in, bytes, len) < 0)
		sim_fail(s, "more arrives than is read");
	while (s->state != SIM_OPEN && sim_step(s))
		;
	if (s->state != SIM_FAILED)
		return 0;
	if (why)
		*why = s->why;
	return -EBADMSG;
}

size_t secure_output(struct secure *s, uint8_t *buf, size_t size)
{
	return secure_queue_take(&s->out, buf, size);
}

bool secure_established(const struct secure *s)
{
	return s->state == SIM_OPEN;
}

bool secure_hello_keyed(const struct secure *s)
{
	return !s->client && (s->state == SIM_WAIT_FINISH || s->state == SIM_OPEN);
}

size_t secure_sim_ask(uint8_t *buf, size_t size)
{
	const struct sim_head head = { .magic = { sim_magic[0], sim_magic[1] },
				       .type = SIM_ASK };

	rt_assert(size >= sizeof(head));
	memcpy(buf, &head, sizeof(head));
	return sizeof(head);
}

int secure_write(struct secure *s, const void *plain, size_t len)
{
	const uint8_t *p = plain;

	if (s->state != SIM_OPEN || s->said_bye)
		return -EPIPE;
	while (len) {
		size_t now = len < SIM_PAYLOAD_MAX ? len : SIM_PAYLOAD_MAX;

		int err = sim_say(s, SIM_DATA, p, now);

		if (err < 0) {
			sim_fail(s, "more is written than is sent");
			return err;
		}
		p += now;
		len -= now;
	}
	return 0;
}

long secure_read(struct secure *s, void *plain, size_t size)
{
	if (s->state != SIM_OPEN && s->state != SIM_FAILED)
		return 0;
	while (secure_queue_len(&s->plain) == 0 && sim_step(s))
		;
	if (s->state == SIM_FAILED)
		return -EBADMSG;
	if (size && s->heard_bye && secure_queue_len(&s->plain) == 0)
		return -ENODATA;
	return (long)secure_queue_take(&s->plain, plain, size);
}

void secure_bye(struct secure *s)
{
	if (s->state != SIM_OPEN || s->said_bye)
		return;
	s->said_bye = true;
	(void)sim_say(s, SIM_BYE, NULL, 0); /* best effort: it only speaks */
}

int secure_export(struct secure *s, const char *label, uint8_t *out, size_t len)
{
	if (s->state != SIM_OPEN)
		return -EPIPE;
	for (size_t at = 0; at < len; at += 8) {
		le64 word = le64_make(sim_derive(s, ~(uint64_t)at, label, strlen(label)));

		memcpy(out + at, &word, len - at < 8 ? len - at : 8);
	}
	return 0;
}
