// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/message.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "fec/fec.h"
#include "replicator/codec.h"
#include "rt/check.h"

static size_t message_written(const struct writer *w, size_t size)
{
	rt_assert(!w->bad);
	return size - w->left;
}

static void message_put_epochs(struct writer *w, const struct lfs_epoch *epochs,
			       unsigned n)
{
	put_u32(w, n);
	for (unsigned i = 0; i < n; i++) {
		put_u64(w, epochs[i].number);
		put_u64(w, epochs[i].id);
		put_u64(w, epochs[i].first_lsn);
		put_u64(w, epochs[i].lossy);
		put_bytes(w, epochs[i].store, sizeof(epochs[i].store));
	}
}

/*
 * At least one, numbers and first LSNs ascending from 1 on; and a number that no later
 * epoch could exceed would be one that no promotion can follow.
 */
static unsigned message_get_epochs(struct reader *r, struct lfs_epoch *epochs)
{
	uint32_t n = get_u32(r);

	if (n < 1 || n > LFS_HISTORY_MAX) {
		r->bad = true;
		return 0;
	}
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		epochs[i].number = get_u64(r);
		epochs[i].id = get_u64(r);
		epochs[i].first_lsn = get_u64(r);
		epochs[i].lossy = get_u64(r);
		get_bytes(r, epochs[i].store, sizeof(epochs[i].store));
		if (epochs[i].number == 0 || epochs[i].number > MESSAGE_EPOCH_MAX ||
		    epochs[i].first_lsn == 0)
			r->bad = true;
		if (i > 0 && (epochs[i].number <= epochs[i - 1].number ||
			      epochs[i].first_lsn < epochs[i - 1].first_lsn))
			r->bad = true;
	}
	return n;
}

static void message_put_volumes(struct writer *w, const struct lfs_meta *meta)
{
	put_u32(w, meta->nvolumes);
	for (unsigned i = 0; i < meta->nvolumes; i++) {
		put_name(w, meta->volumes[i].name);
		put_u64(w, meta->volumes[i].id);
		put_u64(w, meta->volumes[i].size);
	}
}

static void message_get_volumes(struct reader *r, struct lfs_meta *meta)
{
	uint32_t n = get_u32(r);

	if (n < 1 || n > LFS_VOLUMES_MAX) {
		r->bad = true;
		return;
	}
	meta->nvolumes = n;
	for (uint32_t i = 0; i < n; i++) {
		struct lfs_volume *v = &meta->volumes[i];

		get_name(r, v->name, sizeof(v->name));
		v->id = get_u64(r);
		v->size = get_u64(r);
		if (v->name[0] == 0 || v->size == 0 || v->size % LFS_SECTOR != 0)
			r->bad = true;
	}
}

size_t message_encode_negotiate(const struct message_negotiate *m, uint8_t *buf,
				size_t size)
{
	struct writer w;

	writer_init(&w, buf, size);
	put_u16(&w, m->min);
	put_u16(&w, m->max);
	put_u64(&w, m->features);
	put_bytes(&w, m->group, sizeof(m->group));
	put_name(&w, m->group_name);
	return message_written(&w, size);
}

int message_decode_negotiate(const uint8_t *buf, size_t len,
			     struct message_negotiate *ret)
{
	struct reader r;

	reader_init(&r, buf, len);
	memset(ret, 0, sizeof(*ret));
	ret->min = get_u16(&r);
	ret->max = get_u16(&r);
	ret->features = get_u64(&r);
	get_bytes(&r, ret->group, sizeof(ret->group));
	get_name(&r, ret->group_name, sizeof(ret->group_name));
	if (r.bad || ret->min == 0 || ret->min > ret->max)
		return -EPROTO;
	return 0; /* what a later version appends is not for this one */
}

size_t message_encode_identity(const struct message_identity *m, uint8_t *buf,
			       size_t size)
{
	struct writer w;

	writer_init(&w, buf, size);
	put_bytes(&w, m->store, sizeof(m->store));
	put_bytes(&w, m->paired, sizeof(m->paired));
	put_bytes(&w, m->boot, sizeof(m->boot));
	put_u64(&w, m->run);
	put_u64(&w, m->number);
	put_u64(&w, m->giver);
	put_name(&w, m->node);
	return message_written(&w, size);
}

static bool message_id_is_zero(const uint8_t id[LFS_ID_LEN])
{
	static const uint8_t none[LFS_ID_LEN];

	return memcmp(id, none, LFS_ID_LEN) == 0;
}

int message_decode_identity(const uint8_t *buf, size_t len, struct message_identity *ret)
{
	struct reader r;

	reader_init(&r, buf, len);
	memset(ret, 0, sizeof(*ret));
	get_bytes(&r, ret->store, sizeof(ret->store));
	get_bytes(&r, ret->paired, sizeof(ret->paired));
	get_bytes(&r, ret->boot, sizeof(ret->boot));
	ret->run = get_u64(&r);
	ret->number = get_u64(&r);
	ret->giver = get_u64(&r);
	get_name(&r, ret->node, sizeof(ret->node));
	if (!reader_done(&r) || ret->run == 0 || message_id_is_zero(ret->store))
		return -EPROTO;
	return 0;
}

size_t message_encode_hello(const struct message_hello *m, uint8_t *buf, size_t size)
{
	struct writer w;

	writer_init(&w, buf, size);
	put_u64(&w, m->number);
	put_u8(&w, m->role);
	put_u32(&w, m->flags);
	put_name(&w, m->node);
	put_u64(&w, m->lsn);
	put_u64(&w, m->hash);
	put_u64(&w, m->log_floor);
	put_u64(&w, m->persisted);
	put_u32(&w, m->heartbeat_ms);
	put_u64(&w, m->next_number);
	put_u64(&w, m->next_id);
	put_u64(&w, m->undone);
	put_bytes(&w, m->meta.group, sizeof(m->meta.group));
	put_name(&w, m->meta.group_name);
	put_u32(&w, m->meta.max_request);
	message_put_volumes(&w, &m->meta);
	message_put_epochs(&w, m->meta.epochs, m->meta.nepochs);
	return message_written(&w, size);
}

int message_decode_hello(const uint8_t *buf, size_t len, struct message_hello *ret)
{
	struct reader r;

	reader_init(&r, buf, len);
	memset(ret, 0, sizeof(*ret));
	ret->number = get_u64(&r);
	ret->role = get_u8(&r);
	ret->flags = get_u32(&r);
	get_name(&r, ret->node, sizeof(ret->node));
	ret->lsn = get_u64(&r);
	ret->hash = get_u64(&r);
	ret->log_floor = get_u64(&r);
	ret->persisted = get_u64(&r);
	ret->heartbeat_ms = get_u32(&r);
	ret->next_number = get_u64(&r);
	ret->next_id = get_u64(&r);
	ret->undone = get_u64(&r);
	get_bytes(&r, ret->meta.group, sizeof(ret->meta.group));
	get_name(&r, ret->meta.group_name, sizeof(ret->meta.group_name));
	ret->meta.max_request = get_u32(&r);
	message_get_volumes(&r, &ret->meta);
	ret->meta.nepochs = message_get_epochs(&r, ret->meta.epochs);
	if (!reader_done(&r) || (ret->flags & ~HELLO_FLAGS) ||
	    ret->next_number > MESSAGE_EPOCH_MAX ||
	    (ret->role != LFS_PRIMARY && ret->role != LFS_MIRROR))
		return -EPROTO;
	ret->meta.role = ret->role;
	return 0;
}

size_t message_encode_start(const struct message_start *m, uint8_t *buf, size_t size)
{
	struct writer w;

	writer_init(&w, buf, size);
	put_u64(&w, m->tunnel_id);
	put_u64(&w, m->from_lsn);
	put_u8(&w, m->transport);
	put_u8(&w, m->code);
	put_u16(&w, m->symbol_size);
	put_u16(&w, m->window);
	message_put_epochs(&w, m->epochs, m->nepochs);
	return message_written(&w, size);
}

int message_decode_start(const uint8_t *buf, size_t len, struct message_start *ret)
{
	struct reader r;

	reader_init(&r, buf, len);
	ret->tunnel_id = get_u64(&r);
	ret->from_lsn = get_u64(&r);
	ret->transport = get_u8(&r);
	ret->code = get_u8(&r);
	ret->symbol_size = get_u16(&r);
	ret->window = get_u16(&r);
	ret->nepochs = message_get_epochs(&r, ret->epochs);
	if (!reader_done(&r) || ret->from_lsn == 0 || ret->transport > MESSAGE_TCP)
		return -EPROTO;
	if (!fec_code_available((enum fec_code)ret->code))
		return -EPROTO;
	if (ret->symbol_size == 0 || ret->symbol_size % FEC_SYMBOL_ALIGN != 0 ||
	    ret->symbol_size > FEC_SYMBOL_MAX || ret->window < 1 ||
	    ret->window > FEC_WINDOW_MAX)
		return -EPROTO;
	return 0;
}

size_t message_encode_ping(const struct message_ping *m, uint8_t *buf, size_t size)
{
	struct writer w;

	writer_init(&w, buf, size);
	put_u64(&w, m->serial);
	put_u64(&w, m->wall_ns);
	put_u64(&w, m->admitted);
	put_u64(&w, m->durable);
	put_u64(&w, m->bytes);
	put_u32(&w, m->flags);
	return message_written(&w, size);
}

int message_decode_ping(const uint8_t *buf, size_t len, struct message_ping *ret)
{
	struct reader r;

	reader_init(&r, buf, len);
	ret->serial = get_u64(&r);
	ret->wall_ns = get_u64(&r);
	ret->admitted = get_u64(&r);
	ret->durable = get_u64(&r);
	ret->bytes = get_u64(&r);
	ret->flags = get_u32(&r);
	return reader_done(&r) && !(ret->flags & ~PING_FLAGS) ? 0 : -EPROTO;
}

size_t message_encode_grant(const struct message_grant *m, uint8_t *buf, size_t size)
{
	struct writer w;

	writer_init(&w, buf, size);
	put_u64(&w, m->number);
	put_u64(&w, m->id);
	put_u64(&w, m->lsn);
	return message_written(&w, size);
}

int message_decode_grant(const uint8_t *buf, size_t len, struct message_grant *ret)
{
	struct reader r;

	reader_init(&r, buf, len);
	ret->number = get_u64(&r);
	ret->id = get_u64(&r);
	ret->lsn = get_u64(&r);
	if (!reader_done(&r) || ret->id == 0 || ret->number > MESSAGE_EPOCH_MAX)
		return -EPROTO;
	return 0;
}

size_t message_encode_hash(const struct message_hash *m, uint8_t *buf, size_t size)
{
	struct writer w;

	writer_init(&w, buf, size);
	put_u64(&w, m->lsn);
	put_u64(&w, m->hash);
	return message_written(&w, size);
}

int message_decode_hash(const uint8_t *buf, size_t len, struct message_hash *ret)
{
	struct reader r;

	reader_init(&r, buf, len);
	ret->lsn = get_u64(&r);
	ret->hash = get_u64(&r);
	return reader_done(&r) ? 0 : -EPROTO;
}

size_t message_encode_join(const struct message_join *m, uint8_t *buf, size_t size)
{
	struct writer w;

	writer_init(&w, buf, size);
	put_u64(&w, m->tunnel_id);
	put_bytes(&w, m->proof, sizeof(m->proof));
	return message_written(&w, size);
}

int message_decode_join(const uint8_t *buf, size_t len, struct message_join *ret)
{
	struct reader r;

	reader_init(&r, buf, len);
	ret->tunnel_id = get_u64(&r);
	get_bytes(&r, ret->proof, sizeof(ret->proof));
	return reader_done(&r) ? 0 : -EPROTO;
}

size_t message_encode_progress(const struct message_progress *m, uint8_t *buf,
			       size_t size)
{
	struct writer w;

	writer_init(&w, buf, size);
	put_u64(&w, m->frames);
	put_u64(&w, m->bytes);
	put_u64(&w, m->watermark);
	put_u64(&w, m->echo);
	return message_written(&w, size);
}

int message_decode_progress(const uint8_t *buf, size_t len, struct message_progress *ret)
{
	struct reader r;

	reader_init(&r, buf, len);
	ret->frames = get_u64(&r);
	ret->bytes = get_u64(&r);
	ret->watermark = get_u64(&r);
	ret->echo = get_u64(&r);
	return reader_done(&r) ? 0 : -EPROTO;
}

size_t message_encode_number(uint64_t n, uint8_t *buf, size_t size)
{
	struct writer w;

	writer_init(&w, buf, size);
	put_u64(&w, n);
	return message_written(&w, size);
}

int message_decode_number(const uint8_t *buf, size_t len, uint64_t *ret)
{
	struct reader r;

	reader_init(&r, buf, len);
	*ret = get_u64(&r);
	return reader_done(&r) ? 0 : -EPROTO;
}

size_t message_encode_text(const char *text, uint8_t *buf, size_t size)
{
	size_t len = strnlen(text, MESSAGE_TEXT_MAX);

	rt_assert(len <= size);
	memcpy(buf, text, len);
	return len;
}

int message_decode_text(const uint8_t *buf, size_t len, char ret[MESSAGE_TEXT_MAX + 1])
{
	if (len > MESSAGE_TEXT_MAX)
		return -EPROTO;
	for (size_t i = 0; i < len; i++)
		ret[i] = buf[i] >= 0x20 && buf[i] < 0x7f ? (char)buf[i] : '?';
	ret[len] = 0;
	return 0;
}

void message_reason(const uint8_t *buf, size_t len, char ret[MESSAGE_TEXT_MAX + 1])
{
	if (message_decode_text(buf, len, ret) < 0)
		(void)snprintf(ret, MESSAGE_TEXT_MAX + 1, "it does not say why");
}
