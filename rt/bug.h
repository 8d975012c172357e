/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_BUG_H
#define RT_BUG_H

/*
 * Deliberate bugs: each shows that the tests which should catch it do. In every normal
 * build RT_BUG(name) is the constant 0 and leaves nothing behind. In the variant built
 * with -DRT_BUGS one of them can be switched on by name (rt_bug_select).
 */
#define RT_BUG_LIST(X)                                                                                   \
	X(FLUSH_DOES_NOTHING)                                                                            \
	X(DURABLE_AT_RETURN) /* durable = what is written when the flush returns */                      \
	X(SKIP_CHAIN_CHECK)  /* a stale record behind a rewritten one lives again */                     \
	X(LSN_TWICE)	     /* an unclean open goes on in the old epoch */                              \
	X(CLEAN_KEEPS_EPOCH) /* an open after a clean stop goes on in the old epoch */                   \
	X(CONFIRMED_OPEN_KEEPS_EPOCH) /* so does one that the mirror has agreed to */                    \
	X(EMPTY_EPOCHS_KEPT) /* a restart adds to the history though nothing was written */              \
	X(LOSSY_FOLDED_AWAY) /* the epoch after an empty one forgets what that had lost */               \
	X(ROLLED_BACK_WHILE_SERVING) /* a store that serves takes its copy's epochs for its own */       \
	X(COLD_OPENS_ALONE) /* a store that was down serves though its mirror may be promoted */         \
	X(SEAL_FORGOTTEN) /* a primary that has handed over opens again after a restart */               \
	X(WAITING_RUNS_LATER) /* what waited at a switchover is run when the site is primary again */    \
	X(GRANT_SURVIVES_CONNECTION) /* a mirror takes a grant after it has said HELLO without it */     \
	X(NEWCOMER_REPLACES) /* a connection ends the one that the peer has */                           \
	X(MIRROR_UNBOUND)    /* any store of the group is taken for the peer's */                        \
	X(HASH_NOT_ASKED) /* of two sites that differ in the last LSN only, contents are not compared */ \
	X(EXPOSURE_FORGETS) /* what was written before this start counts for nothing */                  \
	X(FENCED_IS_ALIVE)  /* a primary that serves nobody counts as one that lives */                  \
	X(AGE_OF_SHIPPING)  /* what is sent from the log bears the time of sending */                    \
	X(NEVER_FLUSHED_FORGOTTEN) /* who never flushes is taken for one who does */                     \
	X(ACK_BEFORE_WRITTEN)	   /* local completion at admission */                                   \
	X(RECEIVED_AS_PERSISTED)                                                                         \
	X(APPLY_OUT_OF_ORDER)                                                                            \
	X(GATE_IGNORES_REPAIRS) /* onwire moves with the data alone */                                   \
	X(GATE_ONE_LESS)	/* m - 1 repairs do */                                                   \
	X(GATE_HALF_OF_M)	/* half of m does */                                                     \
	X(GATE_ON_TIMEOUT)	/* onwire moves without evidence after a while */                        \
	X(MAP_IN_COMPLETION_ORDER)                                                                       \
	X(CHECKPOINT_BEFORE_FLUSH) /* slot made current before its leaves are durable */                 \
	X(CAPTURE_LATE)	  /* an image holds what is younger than the checkpoint */                       \
	X(REUSE_ONE_SLOT) /* a segment is free when one of the slots says so */                          \
	X(GOOD_SLOT_OVERWRITTEN) /* after a damaged slot the only good one is written */                 \
	X(COUNTS_AFTER_C)	 /* so does its table of segments */                                     \
	X(TRUNCATE_CORRUPT)	 /* corruption taken for a torn tail */                                  \
	X(FACT_IN_ONE_COPY)  /* a fact of the group counts when one superblock has it */                 \
	X(NO_INCARNATION)    /* open does not raise the incarnation */                                   \
	X(SKIP_PULL_BACK)    /* primary opens without what the mirror has beyond */                      \
	X(EPOCH_NOT_FLUSHED) /* first write of an epoch before its history is durable */                 \
	X(FLUSH_FAILURE_IGNORED)                                                                         \
	X(UNALIGNED_NO_LOCK) /* read-modify-write without holding its edges */                           \
	X(MEMORY_BACK_EARLY) /* a request fails while the log still reads its memory */                  \
	X(PROMOTE_UNDRAINED) /* the epoch of a promotion begins before what is queued */                 \
	X(LEAVES_STAY_PENDING) /* what is in the map goes on being counted as admitted */                \
	X(ECHO_ONE_FOR_ALL) /* a send batch has left when one of it has passed the border */             \
	X(SENDS_UNHEARD) /* a send batch has left whatever the kernel said to its sends */               \
	X(COVER_IGNORES_FAILED) /* symbols of failed batches take no repairs */                          \
	X(BLOCK_IGNORES_FAILED) /* a block repair counts though a symbol of it may not be out */         \
	X(COVER_OUTSIDE_WINDOW) /* repairs count for symbols that have left the window */                \
	X(CHANGE_WITHOUT_FLOOR) /* what was sent without evidence counts when there is some */           \
	X(BLOCK_BY_NEW_GOAL)  /* a deficit counts when the new m repairs have passed */                  \
	X(BLOCK_NOTHING)      /* a deficit does not take promises back */                                \
	X(PROBES_UNPADDED)    /* small datagrams alone prove an idle path */                             \
	X(EVENT_BEFORE_FLUSH) /* an event counts as durable when it is written */                        \
	X(EVENT_ALONE_IN_BLOCK) /* an event is written without those beside it */                        \
	X(IN_SYNC_OFF_WIRE) /* what completed while the mirror was away need not have left */

#ifdef RT_BUGS
enum rt_bug {
	RT_BUG_NONE,
#define RT_BUG_ENUM(name) RT_BUG_##name,
	RT_BUG_LIST(RT_BUG_ENUM)
#undef RT_BUG_ENUM
};
extern enum rt_bug rt_bug_selected;
#define RT_BUG(name) (rt_bug_selected == RT_BUG_##name)
/* 0, or -ENOENT for a name that is not in the list; "NONE" selects none. */
int rt_bug_select(const char *name);
#else
#define RT_BUG(name) 0
#endif

#endif
