/*
 * Draft kind rate ("mansio.rate/1~draft"): limits that live outside, for several nodes together. The kernel takes
 * leases of several units, so that the hot path asks nobody.
 */
#ifndef MANSIO_DRAFT_RATE_H
#define MANSIO_DRAFT_RATE_H

#include "mansio/draft/build.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mansio_rate_request {
  uint32_t size;
  uint32_t want;    /* units */
  mansio_str limit; /* name of the configured limit */
  mansio_str key;
  double per_second; /* as configured */
  uint32_t burst;
  uint32_t reserved; /* 0 */
  int64_t deadline;  /* monotonic */
} mansio_rate_request;

typedef struct mansio_rate {
  /* Reply OK: values[0] is the number of units in decimal, ttl_ns how long they may be used, retry_ns when to ask
   * again. */
  void (*lease)(void *self, mansio_op op, const mansio_rate_request *request);      /* [loop], [pool] when BLOCKING */
  void (*give_back)(void *self, mansio_str limit, mansio_str key, uint32_t unused); /* [loop] may be NULL */
  void (*cancel)(void *self, mansio_op op);                                         /* [loop] may be NULL */
} mansio_rate;

#ifdef __cplusplus
}
#endif
#endif
