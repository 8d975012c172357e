/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONFIG_SCHEMA_H
#define CONTROL_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_section;

/* What the codes take (fec/fec.h), as config_fec.c asserts. */
#define CONFIG_FEC_R_MAX 128
#define CONFIG_FEC_C_MAX 127
#define CONFIG_FEC_LAYERS 8
#define CONFIG_FEC_BINS_MAX 512

/* What a value is; the text forms are read by config_value.c. */
enum config_kind {
	CONFIG_NAME,	 /* letters, digits, '.', '_', '-' */
	CONFIG_PATH,	 /* absolute */
	CONFIG_SIZE,	 /* "64MiB": bytes */
	CONFIG_RATE,	 /* "900Mbit": bits per second */
	CONFIG_TIME,	 /* "10s": milliseconds */
	CONFIG_EXPOSURE, /* "30s", "2GiB" or "100 writes" */
	CONFIG_WORD,	 /* one of a few */
	CONFIG_NUMBER,	 /* 0.01, 1e-6; an integer will do */
	CONFIG_COUNT,	 /* an integer */
	CONFIG_BOOL,	 /* true, false */
	CONFIG_PEER,	 /* "HOST:PORT" of the other site, or to listen on for it */
	CONFIG_COUNTS,	 /* [ 1, 19, 41 ]: integers, the rest of the field 0 */
	CONFIG_LISTEN,	 /* [ "unix:PATH", "tcp:HOST:PORT" ] */
	CONFIG_SECTION,	 /* { ... } */
	CONFIG_SECTIONS, /* ( { ... }, { ... } ) */
	CONFIG_ANY,	 /* of a key that is refused whatever it holds */
};

/* One value of CONFIG_WORD, or a word that stands for a number elsewhere ("none"). */
struct config_word {
	const char *word;
	unsigned value;
	bool missing; /* known, but not in this version */
};

/*
 * One key. Offsets are those in struct config, or, in a section that is an element of a
 * list with a stride, in the element.
 */
struct config_key {
	const char *name;
	enum config_kind kind;
	bool required;
	bool live;	   /* may change while the daemon runs */
	const char *later; /* known, but not in this version: what it belongs to */
	size_t offset;
	size_t width;	      /* bytes of the field */
	const char *standard; /* the default as one would write it; NULL: none */
	uint64_t min, max;    /* SIZE, RATE, TIME, COUNT(S), in bytes, bit/s, ms, 1 */
	uint64_t multiple;    /* SIZE; 0: any */
	bool power;	      /* SIZE: a power of two */
	double low, high;     /* NUMBER */
	const struct config_word *words; /* ends with a NULL word */
	const struct config_section *section;
	size_t present; /* SECTION: offset of its bool, 0 when it is always there */
	size_t count;	/* LISTEN, SECTIONS: offset of the unsigned that counts */
	size_t stride;	/* SECTIONS: size of an element; 0: offsets are struct config's */
	unsigned least, most; /* COUNTS, LISTEN, SECTIONS: elements */
};

struct config_section {
	const char *name; /* as in the manual: "groups[].peer" */
	const struct config_key *keys;
	unsigned nkeys;
};

extern const struct config_section config_root;

/* NULL if there is none of that name. */
const struct config_key *config_section_find(const struct config_section *section,
					     const char *name);
/* The known name that `name` was probably meant to be, or NULL. */
const struct config_key *config_section_nearest(const struct config_section *section,
						const char *name);
/* A section somewhere at or below `top` that knows `name`, or NULL. */
const struct config_section *config_section_having(const struct config_section *top,
						   const char *name);

/* What may stand there, for people. Returns `buf`. */
const char *config_key_allowed(const struct config_key *key, char *buf, size_t size);

#endif
