/*
 * Draft kind store ("mansio.store/1~draft"): a second, complete copy of the mail that Mansio has accepted, beside the
 * spool, so that it outlives the disk or machine that the spool is on. Its seam is narrow: commit, outcome, read, scan.
 *
 * A store always runs in a process of its own. A message is committed to it before the spool commits it, and the client
 * hears 250 when both have; a store that does not answer OK in time is never skipped: new mail is refused (451). What
 * is known of a message's recipients follows as outcomes, the last of which ends the message. A spool that was lost is
 * filled again by scan and read.
 *
 * OK always means: on stable storage. Each function may come again for what was done already, and after a crash of
 * either side it does. Several may be under way at once, but of one message one at a time, unless one of them was given
 * up at its deadline.
 */
#ifndef MANSIO_DRAFT_STORE_H
#define MANSIO_DRAFT_STORE_H

#include "mansio/draft/build.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `id` names a message: 1 to 64 of [0-9A-Za-z-], the same for no other message on whatever machine. */

typedef struct mansio_store_commit {
  uint32_t size;
  uint32_t reserved; /* 0 */
  mansio_str id;
  uint64_t length;  /* of what is to be kept, opaque octets: mansio.host.message reads them until the answer */
  int64_t deadline; /* monotonic */
} mansio_store_commit;

typedef struct mansio_store_outcome {
  uint32_t size;
  uint32_t last; /* 1: nothing is to be kept of the message any more; there is no record */
  mansio_str id;
  uint64_t sequence; /* of this message; grows, but not by one */
  mansio_str record; /* opaque, at most 48 KiB; takes the place of the one before */
  int64_t deadline;  /* monotonic */
} mansio_store_outcome;

typedef struct mansio_store_read {
  uint32_t size;
  uint32_t reserved; /* 0 */
  mansio_str id;
  uint64_t offset;
  uint64_t length;  /* at most; up to 512 KiB */
  int64_t deadline; /* monotonic */
} mansio_store_read;

typedef struct mansio_store_scan {
  uint32_t size;
  uint32_t max;      /* ids, at most 1000 */
  mansio_str cursor; /* where the last one ended; empty: from the beginning */
  int64_t deadline;  /* monotonic */
} mansio_store_scan;

/* Any other answer than those below (DEFER, with a reason in `text`) is "not now": the message that was to be committed
 * is refused, all else is tried again. The first four are [loop], [pool] when BLOCKING. */
typedef struct mansio_store {
  /* OK: it is kept, whole. A message that is there already is replaced, and its outcome forgotten. */
  void (*commit)(void *self, mansio_op op, const mansio_store_commit *message);
  /* OK: it is kept, or the message is gone; also when there is no such message, or an outcome of this sequence or a
   * higher one. */
  void (*outcome)(void *self, mansio_op op, const mansio_store_outcome *outcome);
  /* OK: values[0] are the octets from `offset` on, fewer than `length` only where the message ends; values[1] is the
   * record of its newest outcome, empty if there is none. NOT_FOUND: no such message. */
  void (*read)(void *self, mansio_op op, const mansio_store_read *request);
  /* OK: values[0] is the next cursor, at most 1 KiB, empty at the end; the others are ids. Each message that is there
   * from the first of a row of scans to its last is named; those that come and go meanwhile may be. A cursor is good
   * for a later process, too. */
  void (*scan)(void *self, mansio_op op, const mansio_store_scan *request);
  void (*cancel)(void *self, mansio_op op); /* [loop] may be NULL */
} mansio_store;

#ifdef __cplusplus
}
#endif
#endif
