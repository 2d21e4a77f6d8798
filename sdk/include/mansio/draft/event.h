/*
 * Draft kind event ("mansio.event/1~draft"): told what became of messages. It changes nothing, and nothing waits for
 * it.
 */
#ifndef MANSIO_DRAFT_EVENT_H
#define MANSIO_DRAFT_EVENT_H

#include "mansio/draft/build.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  MANSIO_EVENT_INSERTED = 0, /* in the queue, on stable storage */
  MANSIO_EVENT_ROUTED = 1,
  MANSIO_EVENT_DELIVERING = 2,
  MANSIO_EVENT_DELIVERED = 3,
  MANSIO_EVENT_DEFERRED = 4,
  MANSIO_EVENT_BOUNCED = 5,
  MANSIO_EVENT_REMOVED = 6, /* the last recipient is done */
  MANSIO_EVENT_LOG = 7
};

typedef struct mansio_event {
  uint32_t size;
  uint32_t event;      /* MANSIO_EVENT_* */
  int64_t time;        /* wall */
  mansio_str queue_id; /* of what it concerns; empty = none */
  mansio_str recipient;
  const mansio_pair *fields; /* as in the log */
  size_t n_fields;
} mansio_event;

typedef struct mansio_event_sink {
  uint64_t (*events)(void *self);                        /* [init] bit 1 << event */
  void (*notify)(void *self, const mansio_event *event); /* [loop] */
} mansio_event_sink;

#ifdef __cplusplus
}
#endif
#endif
