/*
 * Draft kind store ("mansio.store/1~draft"): the durable log behind the spool, so that a replicated one can take its
 * place. OK always means: on stable storage. Its seam is narrow: commit, outcome, read, scan.
 */
#ifndef MANSIO_DRAFT_STORE_H
#define MANSIO_DRAFT_STORE_H

#include "mansio/draft/build.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mansio_store_commit {
  uint32_t size;
  uint32_t reserved;          /* 0 */
  mansio_str queue_id;        /* never used before */
  mansio_str envelope;        /* opaque */
  const mansio_slice *slices; /* the message */
  size_t n_slices;
  size_t slice_stride;
  int64_t deadline; /* monotonic */
} mansio_store_commit;

typedef struct mansio_store {
  void (*commit)(void *self, mansio_op op, const mansio_store_commit *message); /* [loop], [pool] when BLOCKING: all */
  /* Sequenced by the host for each message; an outcome that the store has already is OK. `last`: the message is done.
   */
  void (*outcome)(void *self, mansio_op op, mansio_str queue_id, uint64_t sequence, mansio_str record, int last);
  /* Reply values: envelope, then the bytes asked for. */
  void (*read)(void *self, mansio_op op, mansio_str queue_id, uint64_t offset, uint64_t length);
  /* Reply values: up to `max` triples of queue id, envelope, outcomes; retry_ns 0, text the next cursor, empty at the
   * end. */
  void (*scan)(void *self, mansio_op op, mansio_str cursor, uint32_t max);
  void (*cancel)(void *self, mansio_op op); /* [loop] may be NULL */
} mansio_store;

#ifdef __cplusplus
}
#endif
#endif
