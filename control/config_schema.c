// SPDX-License-Identifier: BSD-3-Clause
#include "control/config_schema.h"

#include <assert.h>
#include <string.h>

#include "control/config.h"
#include "nbd-server/nbds.h"
#include "rt/check.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define MS UINT64_C(1)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

/* The other site takes a primary that says nothing for dead: two signs of life before that. */
#define HEARTBEAT_MAX (2 * SECOND)
static_assert(2 * HEARTBEAT_MAX < GROUP_PROMOTE_SILENCE_MS, "an idle primary is alive");
#define KBIT UINT64_C(1000)
#define GBIT (1000 * 1000 * KBIT)

#define FIELD(member)                                                                    \
	.offset = offsetof(struct config, member),                                       \
	.width = sizeof(((struct config *)NULL)->member)
#define VOLUME_FIELD(member)                                                             \
	.offset = offsetof(struct group_volume_config, member),                          \
	.width = sizeof(((struct group_volume_config *)NULL)->member)
#define SECTION(keys_)                                                                   \
	{                                                                                \
		.name = keys_##_name, .keys = keys_, .nkeys = RT_ARRAY_LEN(keys_)        \
	}

static const struct config_word mode_words[] = {
	{ "local", GROUP_LOCAL, false },
	{ "network", GROUP_NETWORK, false },
	{ "remote", GROUP_REMOTE, false },
	{ 0 },
};
static const struct config_word role_words[] = {
	{ "primary", GROUP_PRIMARY, false },
	{ "mirror", GROUP_MIRROR, false },
	{ 0 },
};
static const struct config_word hold_words[] = {
	{ "write", GROUP_HOLD_WRITE, false },
	{ "flush", GROUP_HOLD_FLUSH, false },
	{ 0 },
};
static const struct config_word fua_words[] = {
	{ "mode", false, false },
	{ "remote", true, false },
	{ 0 },
};
static const struct config_word disconnect_words[] = {
	{ "continue", GROUP_CONTINUE, false },
	{ "hold", GROUP_STOP, false },
	{ 0 },
};
static const struct config_word evidence_words[] = {
	{ "queued", GROUP_EV_QUEUED, false }, { "driver", GROUP_EV_DRIVER, false },
	{ "nic", GROUP_EV_NIC, false },	      { "edge", GROUP_EV_EDGE, false },
	{ "mirror", GROUP_EV_MIRROR, false }, { 0 },
};
static const struct config_word log_words[] = {
	{ "error", RT_LOG_ERROR, false },
	{ "warn", RT_LOG_WARN, false },
	{ "info", RT_LOG_INFO, false },
	{ "debug", RT_LOG_DEBUG, false },
	{ 0 },
};
static const struct config_word transport_words[] = {
	{ "udp", false, false },
	{ "tcp", true, false },
	{ 0 },
};
static const struct config_word cold_words[] = {
	{ "hold", false, false },
	{ "serve", true, false },
	{ 0 },
};
/* Of these only one is there yet, so nothing keeps the choice. */
static const struct config_word tls_words[] = {
	{ "off", 0, false },
	{ "allow", 0, true },
	{ "require", 0, true },
	{ 0 },
};
/* A code is kept as its name: width says so. */
static const struct config_word code_words[] = {
	{ "none", 0, false },
	{ "layered", 0, false },
	{ "rs", 0, false },
	{ "window", 0, false },
	{ 0 },
};
static const struct config_word policy_words[] = {
	{ "safety", false, false },
	{ "paper", true, false },
	{ 0 },
};
static const struct config_word none_words[] = {
	{ "none", 0, false },
	{ 0 },
};
static const struct config_word auto_words[] = {
	{ "auto", 0, false },
	{ 0 },
};

static const char assume_keys_name[] = "groups[].peer.fec.assume";
static const struct config_key assume_keys[] = {
	{ .name = "loss",
	  .kind = CONFIG_NUMBER,
	  .live = true,
	  FIELD(group.peer.fec.assume_loss),
	  .standard = "0.01",
	  .low = 0,
	  .high = 0.5 },
	{ .name = "burst",
	  .kind = CONFIG_NUMBER,
	  .live = true,
	  FIELD(group.peer.fec.assume_burst),
	  .standard = "1",
	  .low = 1,
	  .high = 1000 },
};
static const struct config_section assume_section = SECTION(assume_keys);

static const char fec_keys_name[] = "groups[].peer.fec";
static const struct config_key fec_keys[] = {
	{ .name = "code",
	  .kind = CONFIG_WORD,
	  .live = true,
	  FIELD(group.peer.fec.code),
	  .standard = "window",
	  .words = code_words },
	{ .name = "policy",
	  .kind = CONFIG_WORD,
	  .live = true,
	  FIELD(group.peer.fec.paper),
	  .standard = "safety",
	  .words = policy_words },
	{ .name = "safety",
	  .kind = CONFIG_NUMBER,
	  .live = true,
	  FIELD(group.peer.fec.safety),
	  .standard = "1e-6",
	  .low = 1e-12,
	  .high = 0.1 },
	{ .name = "assume", .kind = CONFIG_SECTION, .section = &assume_section },
	{ .name = "min",
	  .kind = CONFIG_NUMBER,
	  .live = true,
	  FIELD(group.peer.fec.min),
	  .standard = "0.03",
	  .low = 0.01,
	  .high = 1 },
	{ .name = "max",
	  .kind = CONFIG_NUMBER,
	  .live = true,
	  FIELD(group.peer.fec.max),
	  .standard = "0.5",
	  .low = 0.01,
	  .high = 1 },
	{ .name = "share",
	  .kind = CONFIG_NUMBER,
	  .live = true,
	  FIELD(group.peer.fec.share),
	  .low = 0.01,
	  .high = 1 },
	{ .name = "r",
	  .kind = CONFIG_COUNT,
	  .live = true,
	  FIELD(group.peer.fec.r),
	  .standard = "8",
	  .min = 1,
	  .max = CONFIG_FEC_R_MAX },
	{ .name = "c",
	  .kind = CONFIG_COUNT,
	  .live = true,
	  FIELD(group.peer.fec.c),
	  .standard = "3",
	  .min = 0,
	  .max = CONFIG_FEC_C_MAX },
	{ .name = "interleave",
	  .kind = CONFIG_COUNTS,
	  .live = true,
	  FIELD(group.peer.fec.interleave),
	  .standard = "1, 19, 41",
	  .min = 1,
	  .max = CONFIG_FEC_BINS_MAX,
	  .least = 1,
	  .most = CONFIG_FEC_LAYERS },
	{ .name = "delayed",
	  .kind = CONFIG_BOOL,
	  .live = true,
	  FIELD(group.peer.fec.delayed),
	  .standard = "false" },
	{ .name = "on_demand",
	  .kind = CONFIG_BOOL,
	  .live = true,
	  FIELD(group.peer.fec.on_demand),
	  .standard = "true" },
};
static const struct config_section fec_section = SECTION(fec_keys);

static const char edge_keys_name[] = "groups[].peer.edge";
static const struct config_key edge_keys[] = {
	{ .name = "address",
	  .kind = CONFIG_PEER,
	  .required = true,
	  FIELD(group.peer.edge) },
	{ .name = "key", .kind = CONFIG_PATH, .required = true, FIELD(edge_key_path) },
};
static const struct config_section edge_section = SECTION(edge_keys);

static const char peer_keys_name[] = "groups[].peer";
static const struct config_key peer_keys[] = {
	{ .name = "address", .kind = CONFIG_PEER, FIELD(group.peer.addr) },
	{ .name = "listen", .kind = CONFIG_PEER, FIELD(group.peer.addr) },
	{ .name = "key", .kind = CONFIG_PATH, .required = true, FIELD(key_path) },
	{ .name = "transport",
	  .kind = CONFIG_WORD,
	  .live = true,
	  FIELD(group.peer.tcp),
	  .standard = "udp",
	  .words = transport_words },
	{ .name = "congestion",
	  .kind = CONFIG_NAME,
	  .live = true,
	  FIELD(group.peer.congestion) },
	{ .name = "rate",
	  .kind = CONFIG_RATE,
	  .required = true,
	  .live = true,
	  FIELD(rate),
	  .min = 100 * KBIT,
	  .max = 400 * GBIT,
	  .words = auto_words },
	{ .name = "evidence",
	  .kind = CONFIG_WORD,
	  .live = true,
	  FIELD(group.peer.evidence),
	  .standard = "driver",
	  .words = evidence_words },
	{ .name = "edge",
	  .kind = CONFIG_SECTION,
	  .section = &edge_section,
	  .present = offsetof(struct config, group.peer.has_edge) },
	{ .name = "send_memory",
	  .kind = CONFIG_SIZE,
	  FIELD(group.send_memory),
	  .standard = "64MiB",
	  .min = 1 * MIB,
	  .max = 64 * GIB },
	{ .name = "control_timeout",
	  .kind = CONFIG_TIME,
	  .live = true,
	  FIELD(group.control_timeout_ms),
	  .standard = "10s",
	  .min = 100 * MS,
	  .max = 10 * MINUTE },
	{ .name = "heartbeat",
	  .kind = CONFIG_TIME,
	  .live = true,
	  FIELD(group.heartbeat_ms),
	  .standard = "1s",
	  .min = 10 * MS,
	  .max = HEARTBEAT_MAX },
	{ .name = "away",
	  .kind = CONFIG_TIME,
	  .live = true,
	  FIELD(group.away_ms),
	  .standard = "5s",
	  .min = 100 * MS,
	  .max = 10 * MINUTE },
	{ .name = "fec", .kind = CONFIG_SECTION, .section = &fec_section },
};
static const struct config_section peer_section = SECTION(peer_keys);

static const char volume_keys_name[] = "groups[].volumes[]";
static const struct config_key volume_keys[] = {
	{ .name = "name", .kind = CONFIG_NAME, .required = true, VOLUME_FIELD(name) },
	{ .name = "size",
	  .kind = CONFIG_SIZE,
	  .required = true,
	  VOLUME_FIELD(size),
	  .min = GROUP_SECTOR,
	  .max = 64 * TIB,
	  .multiple = GROUP_SECTOR },
	{ .name = "sync",
	  .kind = CONFIG_WORD,
	  .live = true,
	  VOLUME_FIELD(sync),
	  .words = mode_words },
	{ .name = "on_disconnect",
	  .kind = CONFIG_WORD,
	  .live = true,
	  VOLUME_FIELD(on_disconnect),
	  .words = disconnect_words },
};
static const struct config_section volume_section = SECTION(volume_keys);

static const char group_keys_name[] = "groups[]";
static const struct config_key group_keys[] = {
	{ .name = "name", .kind = CONFIG_NAME, .required = true, FIELD(group.name) },
	{ .name = "store", .kind = CONFIG_PATH, .required = true, FIELD(group.store) },
	{ .name = "store_size",
	  .kind = CONFIG_SIZE,
	  FIELD(group.store_size),
	  .min = 16 * MIB,
	  .max = 128 * TIB,
	  .multiple = GROUP_BLOCK },
	{ .name = "role",
	  .kind = CONFIG_WORD,
	  .required = true,
	  FIELD(group.role),
	  .words = role_words },
	{ .name = "volumes",
	  .kind = CONFIG_SECTIONS,
	  .required = true,
	  .section = &volume_section,
	  FIELD(group.volumes),
	  .stride = sizeof(struct group_volume_config),
	  .count = offsetof(struct config, group.nvolumes),
	  .least = 1,
	  .most = GROUP_VOLUMES_MAX },
	{ .name = "sync",
	  .kind = CONFIG_WORD,
	  .live = true,
	  FIELD(group.sync),
	  .standard = "network",
	  .words = mode_words },
	{ .name = "hold",
	  .kind = CONFIG_WORD,
	  .live = true,
	  FIELD(group.hold),
	  .words = hold_words },
	{ .name = "fua",
	  .kind = CONFIG_WORD,
	  .live = true,
	  FIELD(group.fua_remote),
	  .standard = "mode",
	  .words = fua_words },
	{ .name = "on_disconnect",
	  .kind = CONFIG_WORD,
	  .live = true,
	  FIELD(group.on_disconnect),
	  .standard = "continue",
	  .words = disconnect_words },
	{ .name = "max_exposure",
	  .kind = CONFIG_EXPOSURE,
	  .live = true,
	  FIELD(group.exposure_ms),
	  .standard = "none",
	  .words = none_words },
	{ .name = "hold_timeout",
	  .kind = CONFIG_TIME,
	  .live = true,
	  FIELD(group.hold_timeout_ms),
	  .standard = "none",
	  .min = 1 * SECOND,
	  .max = 24 * HOUR,
	  .words = none_words },
	{ .name = "open_timeout",
	  .kind = CONFIG_TIME,
	  .live = true,
	  FIELD(group.open_timeout_ms),
	  .standard = "10s",
	  .min = 100 * MS,
	  .max = 1 * HOUR },
	{ .name = "cold_open",
	  .kind = CONFIG_WORD,
	  .live = true,
	  FIELD(group.cold_serve),
	  .standard = "hold",
	  .words = cold_words },
	{ .name = "segment",
	  .kind = CONFIG_SIZE,
	  FIELD(group.segment_size),
	  .standard = "64MiB",
	  .min = 1 * MIB,
	  .max = 256 * MIB,
	  .power = true },
	{ .name = "max_request",
	  .kind = CONFIG_SIZE,
	  FIELD(group.max_request),
	  .standard = "1MiB",
	  .min = 64 * KIB,
	  .max = 32 * MIB,
	  .multiple = GROUP_BLOCK },
	{ .name = "checkpoint",
	  .kind = CONFIG_SIZE,
	  FIELD(group.checkpoint_bytes),
	  .standard = "1GiB",
	  .min = 1 * MIB,
	  .max = 1 * TIB },
	{ .name = "map_memory",
	  .kind = CONFIG_SIZE,
	  FIELD(group.map_memory),
	  .standard = "1GiB",
	  .min = 1 * MIB,
	  .max = 4 * TIB },
	{ .name = "retention", .kind = CONFIG_ANY, .later = "snapshots and rewind" },
	{ .name = "peer",
	  .kind = CONFIG_SECTION,
	  .section = &peer_section,
	  .present = offsetof(struct config, group.has_peer) },
};
static const struct config_section group_section = SECTION(group_keys);

static const char nbd_keys_name[] = "nbd";
static const struct config_key nbd_keys[] = {
	{ .name = "listen",
	  .kind = CONFIG_LISTEN,
	  FIELD(nbd.listen),
	  .standard = "unix:/run/wanmirror/nbd.sock",
	  .count = offsetof(struct config, nbd.nlisten),
	  .least = 0,
	  .most = CONFIG_LISTEN_MAX },
	{ .name = "tls", .kind = CONFIG_WORD, .standard = "off", .words = tls_words },
	{ .name = "allow_plaintext",
	  .kind = CONFIG_BOOL,
	  FIELD(nbd.allow_plaintext),
	  .standard = "false" },
	{ .name = "connections",
	  .kind = CONFIG_COUNT,
	  FIELD(nbd.connections),
	  .standard = "1024",
	  .min = 1,
	  .max = NBDS_CONNECTIONS_MAX },
};
static const struct config_section nbd_section = SECTION(nbd_keys);

static const char root_keys_name[] = "";
static const struct config_key root_keys[] = {
	{ .name = "node", .kind = CONFIG_NAME, .required = true, FIELD(node) },
	{ .name = "control",
	  .kind = CONFIG_PATH,
	  FIELD(control),
	  .standard = "/run/wanmirror/control.sock" },
	{ .name = "log",
	  .kind = CONFIG_WORD,
	  .live = true,
	  FIELD(log),
	  .standard = "info",
	  .words = log_words },
	{ .name = "metrics", .kind = CONFIG_ANY, .later = "metrics" },
	{ .name = "nbd", .kind = CONFIG_SECTION, .section = &nbd_section },
	{ .name = "groups",
	  .kind = CONFIG_SECTIONS,
	  .required = true,
	  .section = &group_section,
	  .count = offsetof(struct config, ngroups),
	  .least = 1,
	  .most = CONFIG_GROUPS_MAX },
};
const struct config_section config_root = SECTION(root_keys);
