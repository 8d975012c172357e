// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/secure.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#include "replicator/tunnel/secure_queue.h"
#include "rt/check.h"
#include "rt/mem.h"

#define SECURE_PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK"
/* The identity of the key: these words and the name of the group. */
static const char *const secure_purposes[] = {
	[SECURE_CONTROL] = "wanmirror control ",
	[SECURE_DATA] = "wanmirror data ",
};
#define SECURE_IDENTITY_MAX (sizeof("wanmirror control ") + SECURE_GROUP_MAX)
/* The longest handshake message taken: a PSK handshake needs a few hundred bytes. */
#define SECURE_HANDSHAKE_MAX 16384

enum secure_state {
	SECURE_HANDSHAKE,
	SECURE_ESTABLISHED,
	SECURE_ENDED, /* we have said goodbye: still reads */
	SECURE_FAILED,
};

struct secure {
	gnutls_session_t session;		    /* owned */
	gnutls_psk_client_credentials_t client_key; /* owned; NULL at the server */
	gnutls_psk_server_credentials_t server_key; /* owned; NULL at the client */
	uint8_t key[SECURE_KEY_LEN];
	char group[SECURE_GROUP_MAX + 1];
	enum secure_purpose purpose;
	struct secure_queue in, out;
	enum secure_state state;
	bool refused;	 /* FAILED by what the peer sent, not by our memory */
	const char *why; /* FAILED: static text */
	int push_err;	 /* 0, or why the library could not hand over what it sealed */
};

/* A session moves to a later state only, so FAILED is never left. */
static void secure_set_state(struct secure *s, enum secure_state next)
{
	rt_assert(next > s->state);
	s->state = next;
}

/* ---- bytes in and out ------------------------------------------------------------- */

static ssize_t secure_pull(gnutls_transport_ptr_t owner, void *buf, size_t size)
{
	struct secure *s = owner;
	size_t len = secure_queue_take(&s->in, buf, size);

	if (len == 0) {
		gnutls_transport_set_errno(s->session, EAGAIN);
		return -1;
	}
	return (ssize_t)len;
}

/* GnuTLS asks whether a pull would find something; it must never wait. */
static int secure_pull_ready(gnutls_transport_ptr_t owner, unsigned timeout_ms)
{
	struct secure *s = owner;

	return secure_queue_len(&s->in) > 0;
}

static ssize_t secure_push(gnutls_transport_ptr_t owner, const void *buf, size_t len)
{
	struct secure *s = owner;
	int ret = secure_queue_put(&s->out, buf, len);

	if (ret < 0) {
		s->push_err = ret;
		gnutls_transport_set_errno(s->session, -ret);
		return -1;
	}
	return (ssize_t)len;
}

/* ---- set-up ----------------------------------------------------------------------- */

static size_t secure_identity(const struct secure *s, enum secure_purpose purpose,
			      char identity[SECURE_IDENTITY_MAX])
{
	return (size_t)snprintf(identity, SECURE_IDENTITY_MAX, "%s%s",
				secure_purposes[purpose], s->group);
}

static int secure_server_key_find(gnutls_session_t session, const gnutls_datum_t *name,
				  gnutls_datum_t *key)
{
	struct secure *s = gnutls_session_get_ptr(session);
	char identity[SECURE_IDENTITY_MAX];
	unsigned i = 0;

	while (i < RT_ARRAY_LEN(secure_purposes) &&
	       (name->size != secure_identity(s, (enum secure_purpose)i, identity) ||
		memcmp(name->data, identity, name->size) != 0))
		i++;
	if (i == RT_ARRAY_LEN(secure_purposes))
		return -1;
	s->purpose = (enum secure_purpose)i;
	key->data = gnutls_malloc(SECURE_KEY_LEN); /* GnuTLS frees it */
	if (!key->data)
		return -1;
	memcpy(key->data, s->key, SECURE_KEY_LEN);
	key->size = SECURE_KEY_LEN;
	return 0;
}

static int secure_client_key_set(struct secure *s)
{
	char identity[SECURE_IDENTITY_MAX];
	gnutls_datum_t name = { (unsigned char *)identity,
				(unsigned)secure_identity(s, s->purpose, identity) };
	gnutls_datum_t key = { s->key, SECURE_KEY_LEN };
	int ret = gnutls_psk_allocate_client_credentials(&s->client_key);

	if (ret < 0)
		return ret;
	ret = gnutls_psk_set_client_credentials2(s->client_key, &name, &key,
						 GNUTLS_PSK_KEY_RAW);
	if (ret < 0)
		return ret;
	return gnutls_credentials_set(s->session, GNUTLS_CRD_PSK, s->client_key);
}

static int secure_server_key_set(struct secure *s)
{
	int ret = gnutls_psk_allocate_server_credentials(&s->server_key);

	if (ret < 0)
		return ret;
	gnutls_psk_set_server_credentials_function2(s->server_key,
						    secure_server_key_find);
	return gnutls_credentials_set(s->session, GNUTLS_CRD_PSK, s->server_key);
}

static int secure_session_set_up(struct secure *s, bool client)
{
	unsigned side = client ? GNUTLS_CLIENT : GNUTLS_SERVER;
	int ret = gnutls_init(&s->session, side | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS |
						   GNUTLS_NO_SIGNAL);

	if (ret < 0)
		return ret;
	gnutls_session_set_ptr(s->session, s);
	ret = gnutls_priority_set_direct(s->session, SECURE_PRIORITY, NULL);
	if (ret < 0)
		return ret;
	ret = client ? secure_client_key_set(s) : secure_server_key_set(s);
	if (ret < 0)
		return ret;
	gnutls_handshake_set_max_packet_length(s->session, SECURE_HANDSHAKE_MAX);
	gnutls_handshake_set_timeout(s->session, 0); /* the owner's timers decide */
	gnutls_transport_set_ptr(s->session, s);
	gnutls_transport_set_pull_function(s->session, secure_pull);
	gnutls_transport_set_pull_timeout_function(s->session, secure_pull_ready);
	gnutls_transport_set_push_function(s->session, secure_push);
	return 0;
}

/* ---- life ------------------------------------------------------------------------- */

/* What a person reads in the log; GnuTLS names a wrong key by its symptom only. */
static const char *secure_reason(int err)
{
	switch (err) {
	case GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER:
	case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
	case GNUTLS_E_DECRYPTION_FAILED:
	case GNUTLS_E_MAC_VERIFY_FAILED:
	case GNUTLS_E_KEYFILE_ERROR: /* secure_server_key_find() found none of that name */
		return "the peer does not have our key, names another group, or its "
		       "bytes were altered";
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return "the peer refused us (does it have another key, or another name "
		       "of the group?)";
	case GNUTLS_E_MEMORY_ERROR:
		return "out of memory";
	default:
		return gnutls_strerror(err);
	}
}

static void secure_fail(struct secure *s, int err)
{
	bool ours = err == GNUTLS_E_MEMORY_ERROR || err == GNUTLS_E_PUSH_ERROR;

	/* The alert lets the other side say why; what cannot be said is no new error. */
	if (!ours && err != GNUTLS_E_FATAL_ALERT_RECEIVED)
		(void)gnutls_alert_send_appropriate(s->session, err);
	secure_set_state(s, SECURE_FAILED);
	s->refused = !ours;
	s->why = secure_reason(err);
}

static int secure_error(const struct secure *s, const char **why)
{
	if (why)
		*why = s->why;
	return s->refused ? -EBADMSG : -EIO;
}

static void secure_shake(struct secure *s)
{
	int ret;

	do {
		ret = gnutls_handshake(s->session);
	} while (ret == GNUTLS_E_INTERRUPTED || ret == GNUTLS_E_WARNING_ALERT_RECEIVED);
	if (ret == GNUTLS_E_AGAIN)
		return;
	if (ret < 0)
		secure_fail(s, ret);
	else
		secure_set_state(s, SECURE_ESTABLISHED);
}

static int secure_new(bool client, enum secure_purpose purpose, const char *group,
		      const uint8_t key[SECURE_KEY_LEN], struct secure **ret)
{
	struct secure *s = rt_zalloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	memcpy(s->key, key, SECURE_KEY_LEN);
	(void)snprintf(s->group, sizeof(s->group), "%s", group);
	s->purpose = purpose;
	err = secure_session_set_up(s, client);
	if (err < 0)
		goto fail;
	if (client) {
		secure_shake(s); /* the first message needs nothing from the wire */
		err = GNUTLS_E_INTERNAL_ERROR;
		if (s->state == SECURE_FAILED)
			goto fail;
	}
	*ret = s;
	return 0;
fail:
	secure_free(s);
	return err == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EIO;
}

int secure_dial(enum secure_purpose purpose, const char *group,
		const uint8_t key[SECURE_KEY_LEN], struct secure **ret)
{
	return secure_new(true, purpose, group, key, ret);
}

int secure_accept(const char *group, const uint8_t key[SECURE_KEY_LEN],
		  struct secure **ret)
{
	return secure_new(false, SECURE_CONTROL, group, key, ret);
}

enum secure_purpose secure_purpose(const struct secure *s)
{
	return s->purpose;
}

void secure_free(struct secure *s)
{
	if (!s)
		return;
	if (s->session)
		gnutls_deinit(s->session);
	if (s->client_key)
		gnutls_psk_free_client_credentials(s->client_key);
	if (s->server_key)
		gnutls_psk_free_server_credentials(s->server_key);
	gnutls_memset(s->key, 0, sizeof(s->key));
	secure_queue_release(&s->in);
	secure_queue_release(&s->out);
	rt_free(s);
}

int secure_input(struct secure *s, const uint8_t *bytes, size_t len, const char **why)
{
	int ret;

	if (s->state == SECURE_FAILED)
		return secure_error(s, why);
	ret = secure_queue_put(&s->in, bytes, len);
	if (ret < 0) {
		secure_set_state(s, SECURE_FAILED);
		s->refused = ret == -ENOBUFS;
		s->why = ret == -ENOBUFS ? "more arrives than is read" : "out of memory";
		return secure_error(s, why);
	}
	if (s->state == SECURE_HANDSHAKE)
		secure_shake(s);
	return s->state == SECURE_FAILED ? secure_error(s, why) : 0;
}

size_t secure_output(struct secure *s, uint8_t *buf, size_t size)
{
	return secure_queue_take(&s->out, buf, size);
}

bool secure_established(const struct secure *s)
{
	return s->state == SECURE_ESTABLISHED || s->state == SECURE_ENDED;
}

bool secure_hello_keyed(const struct secure *s)
{
	if (s->client_key || s->state == SECURE_FAILED)
		return false;
	/* Our FINISHED follows the hello that we go on from, whose binder takes the key. */
	return secure_established(s) ||
	       gnutls_handshake_get_last_out(s->session) == GNUTLS_HANDSHAKE_FINISHED;
}

/* ---- after the handshake ---------------------------------------------------------- */

/* What did not let bytes be sealed: the library's error `err`, as an errno. */
static int secure_seal_error(const struct secure *s, int err)
{
	if (s->push_err)
		return s->push_err;
	return err == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EIO;
}

int secure_write(struct secure *s, const void *plain, size_t len)
{
	const uint8_t *p = plain;
	ssize_t sent;

	if (s->state != SECURE_ESTABLISHED)
		return -EPIPE;
	while (len) {
		sent = gnutls_record_send(s->session, p, len);
		if (sent == GNUTLS_E_INTERRUPTED)
			continue;
		if (sent <= 0) {
			secure_fail(s, sent ? (int)sent : GNUTLS_E_PUSH_ERROR);
			return secure_seal_error(s, (int)sent);
		}
		p += sent;
		len -= (size_t)sent;
	}
	return 0;
}

long secure_read(struct secure *s, void *plain, size_t size)
{
	ssize_t len;

	if (s->state == SECURE_HANDSHAKE || size == 0)
		return 0;
	if (s->state == SECURE_FAILED)
		return -EBADMSG;
	do {
		len = gnutls_record_recv(s->session, plain, size);
	} while (len == GNUTLS_E_INTERRUPTED || len == GNUTLS_E_WARNING_ALERT_RECEIVED);
	if (len == GNUTLS_E_AGAIN)
		return 0;
	if (len == 0)
		return -ENODATA;
	if (len < 0) {
		secure_fail(s, (int)len);
		return -EBADMSG;
	}
	return (long)len;
}

void secure_bye(struct secure *s)
{
	if (s->state != SECURE_ESTABLISHED)
		return;
	secure_set_state(s, SECURE_ENDED);
	(void)gnutls_bye(s->session, GNUTLS_SHUT_WR); /* best effort: it only speaks */
}

int secure_export(struct secure *s, const char *label, uint8_t *out, size_t len)
{
	if (!secure_established(s))
		return -EPIPE;
	if (gnutls_prf_rfc5705(s->session, strlen(label), label, 0, NULL, len,
			       (char *)out) < 0)
		return -EIO;
	return 0;
}
