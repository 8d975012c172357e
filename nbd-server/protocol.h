/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NBD_SERVER_PROTOCOL_H
#define NBD_SERVER_PROTOCOL_H

#include <assert.h>
#include <stdint.h>

#include "rt/bytes.h"

/*
 * The NBD protocol on the wire, after the protocol document of the NBD project
 * (doc/proto.md there): numbers and structs only. Everything is big-endian.
 */

/* ---- bounds that are ours or the document's ---------------------------------------- */

#define NBDS_NAME_MAX 4096	  /* longest string of the protocol */
#define NBDS_OPTION_DATA_MAX 8192 /* longer option data is skipped and refused */
#define NBDS_REQUEST_MAX (32u << 20)
#define NBDS_PREFERRED 4096u

/* ---- negotiation ------------------------------------------------------------------- */

#define NBDS_MAGIC UINT64_C(0x4e42444d41474943)	       /* "NBDMAGIC" */
#define NBDS_OPTION_MAGIC UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define NBDS_OPTION_REPLY_MAGIC UINT64_C(0x0003e889045565a9)

/* Flags of the greeting; the client answers with the same bits. */
#define NBDS_HELLO_FIXED_NEWSTYLE 1u
#define NBDS_HELLO_NO_ZEROES 2u
#define NBDS_HELLO_KNOWN (NBDS_HELLO_FIXED_NEWSTYLE | NBDS_HELLO_NO_ZEROES)

#define NBDS_OPT_EXPORT_NAME 1u
#define NBDS_OPT_ABORT 2u
#define NBDS_OPT_LIST 3u
#define NBDS_OPT_STARTTLS 5u
#define NBDS_OPT_INFO 6u
#define NBDS_OPT_GO 7u
#define NBDS_OPT_STRUCTURED_REPLY 8u
#define NBDS_OPT_LIST_META_CONTEXT 9u
#define NBDS_OPT_SET_META_CONTEXT 10u

#define NBDS_REP_ACK 1u
#define NBDS_REP_SERVER 2u
#define NBDS_REP_INFO 3u
#define NBDS_REP_ERR_UNSUP 0x80000001u
#define NBDS_REP_ERR_INVALID 0x80000003u
#define NBDS_REP_ERR_UNKNOWN 0x80000006u
#define NBDS_REP_ERR_SHUTDOWN 0x80000007u
#define NBDS_REP_ERR_TOO_BIG 0x80000009u

#define NBDS_INFO_EXPORT 0u
#define NBDS_INFO_NAME 1u
#define NBDS_INFO_BLOCK_SIZE 3u

#define NBDS_FLAG_HAS_FLAGS 0x0001u
#define NBDS_FLAG_READ_ONLY 0x0002u
#define NBDS_FLAG_SEND_FLUSH 0x0004u
#define NBDS_FLAG_SEND_FUA 0x0008u
#define NBDS_FLAG_SEND_TRIM 0x0020u
#define NBDS_FLAG_SEND_WRITE_ZEROES 0x0040u
#define NBDS_FLAG_CAN_MULTI_CONN 0x0100u
#define NBDS_FLAG_SEND_FAST_ZERO 0x0800u

struct nbds_greeting {
	be64 magic;
	be64 option_magic;
	be16 flags;
};
static_assert(sizeof(struct nbds_greeting) == 18, "wire size");
static_assert(_Alignof(struct nbds_greeting) == 1, "no padding");

struct nbds_option_head {
	be64 magic;
	be32 option;
	be32 len; /* of the data behind */
};
static_assert(sizeof(struct nbds_option_head) == 16, "wire size");
static_assert(_Alignof(struct nbds_option_head) == 1, "no padding");

struct nbds_option_reply {
	be64 magic;
	be32 option;
	be32 type;
	be32 len;
};
static_assert(sizeof(struct nbds_option_reply) == 20, "wire size");
static_assert(_Alignof(struct nbds_option_reply) == 1, "no padding");

/* The answer to EXPORT_NAME; the zeroes are left out when both sides said so. */
struct nbds_export_answer {
	be64 size;
	be16 flags;
	uint8_t zeroes[124];
};
static_assert(sizeof(struct nbds_export_answer) == 134, "wire size");
static_assert(_Alignof(struct nbds_export_answer) == 1, "no padding");
#define NBDS_EXPORT_ANSWER_SHORT 10

struct nbds_info_export {
	be16 type;
	be64 size;
	be16 flags;
};
static_assert(sizeof(struct nbds_info_export) == 12, "wire size");
static_assert(_Alignof(struct nbds_info_export) == 1, "no padding");

struct nbds_info_block_size {
	be16 type;
	be32 minimum, preferred, maximum;
};
static_assert(sizeof(struct nbds_info_block_size) == 14, "wire size");
static_assert(_Alignof(struct nbds_info_block_size) == 1, "no padding");

/* ---- transmission ------------------------------------------------------------------ */

#define NBDS_REQUEST_MAGIC 0x25609513u
#define NBDS_REPLY_MAGIC 0x67446698u

#define NBDS_CMD_READ 0u
#define NBDS_CMD_WRITE 1u
#define NBDS_CMD_DISC 2u
#define NBDS_CMD_FLUSH 3u
#define NBDS_CMD_TRIM 4u
#define NBDS_CMD_WRITE_ZEROES 6u

#define NBDS_CMD_FLAG_FUA 0x0001u
#define NBDS_CMD_FLAG_NO_HOLE 0x0002u
#define NBDS_CMD_FLAG_FAST_ZERO 0x0010u

struct nbds_request_head {
	be32 magic;
	be16 flags;
	be16 type;
	be64 cookie; /* the client's, returned unchanged */
	be64 offset;
	be32 len;
};
static_assert(sizeof(struct nbds_request_head) == 28, "wire size");
static_assert(_Alignof(struct nbds_request_head) == 1, "no padding");

struct nbds_reply_head {
	be32 magic;
	be32 error;
	be64 cookie;
};
static_assert(sizeof(struct nbds_reply_head) == 16, "wire size");
static_assert(_Alignof(struct nbds_reply_head) == 1, "no padding");

#define NBDS_OK 0u
#define NBDS_EPERM 1u
#define NBDS_EIO 5u
#define NBDS_ENOMEM 12u
#define NBDS_EINVAL 22u
#define NBDS_ENOSPC 28u
#define NBDS_ENOTSUP 95u
#define NBDS_ESHUTDOWN 108u

#endif
