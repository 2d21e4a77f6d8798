/*
 * Draft kind rate ("mansio.rate/1~draft"): limits that live outside, for several nodes together. The kernel takes
 * leases of several units, so that the hot path asks nobody. A unit of a rate is one delivery that may begin. Of a
 * limit of deliveries at once it is a place: a delivery has it until it ends.
 *
 * A rate plugin always runs in a process of its own. What it says counts for one node; that all nodes together keep to
 * the rate is the plugin's work.
 */
#ifndef MANSIO_DRAFT_RATE_H
#define MANSIO_DRAFT_RATE_H

#include "mansio/draft/build.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mansio_rate_request {
  uint32_t size;
  uint32_t want; /* units: what is ready to go and would go within a second or so; at least 1 */
  /* "transport_rate_limit", "destination_rate_limit", "tenant_rate_limit", "campaign_rate_limit",
   * "sender_rate_limit", "source_pool_rate_limit" or "source_pool_destination_rate_limit" */
  mansio_str limit;
  /* Whose: "smtp", "smtp:example.com" (the transport and the next hop or site), the tenant, campaign, sender or source
   * pool, "pool:example.com" (the source pool and the next hop or site). The same limit and key are one limit, on
   * whatever node. */
  mansio_str key;
  double per_second; /* as configured, more than 0 */
  uint32_t burst;    /* the same, at least 1 */
  uint32_t reserved; /* 0 */
  int64_t deadline;  /* monotonic */
} mansio_rate_request;

/* What a node has of a limit of deliveries at once, or of a delay between two, and what it wants. It says all each
 * time, never a difference, so that what is lost or comes twice does no harm. */
typedef struct mansio_rate_places {
  uint32_t size;
  /* Places that it has: by deliveries, or kept for the next ones. They are its own even where that is too many. */
  uint32_t held;
  /* Places that it would have altogether, at least `held`. What it had before and does not hold it has given up. */
  uint32_t want;
  uint32_t capacity; /* places that there are for all nodes, as configured, at least 1 */
  /* "destination_concurrency_limit", "destination_rate_delay", "process_limit" or "transport_rate_delay" */
  mansio_str limit;
  /* Whose: "smtp:example.com" (the transport and the next hop or site) of the first two, "smtp" of the others. */
  mansio_str key;
  mansio_str holder; /* the node: another one each time that its queue process begins anew */
  /* Grows. A question with a smaller one than the holder's last of this limit is over, and changes nothing. */
  uint64_t number;
  int64_t rest;     /* of delays: ns for which a place that is given up is nobody's; else 0 */
  int64_t deadline; /* monotonic */
} mansio_rate_places;

typedef struct mansio_rate {
  /* Reply OK: values[0] is the number of units in decimal, 0 to `want` (more counts as `want`); ttl_ns how long they
   * may be used, from when they were asked for (0: a minute), after which those left over are gone, not given back;
   * retry_ns how long not to ask again (0: until it is of use, or where there were none, a moment). Anything else is a
   * failure: the table's on_failure decides whether what it limits waits, or goes at the configured rate. */
  void (*lease)(void *self, mansio_op op, const mansio_rate_request *request); /* [loop], [pool] when BLOCKING */
  /* Units of a lease that are not going to be used: the limit is no longer wanted, or Mansio stops. */
  void (*give_back)(void *self, mansio_str limit, mansio_str key,
                    uint32_t unused);       /* [loop], [pool] when BLOCKING; may be NULL */
  void (*cancel)(void *self, mansio_op op); /* [loop] may be NULL */
  /* Reply OK: values[0] is how many places the holder may have from now on, in decimal, 0 to `want`; ttl_ns for how
   * long, from when it was asked (0: a minute): it asks again well before that is over, and what it had when it is over
   * is free, after `rest`; retry_ns how long not to ask for more. Fewer than `held` means that it is to give up what is
   * above, each when its delivery ends: until it says a smaller `held` it has them. Anything else is a failure, as of
   * lease(), and nothing that it had is free sooner for it. */
  void (*hold)(void *self, mansio_op op, const mansio_rate_places *request); /* as lease(); NULL: rates only */
} mansio_rate;

#ifdef __cplusplus
}
#endif
#endif
