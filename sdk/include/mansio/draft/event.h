/*
 * Draft kind event ("mansio.event/1~draft"): told what became of messages, after the fact is on stable storage, and the
 * lines of the log. It changes nothing, and nothing waits for it: what it does not take in time is dropped and counted.
 * It always runs in a process of its own, on the loop (a MANSIO_BLOCKING plugin is refused). An event may be lost when
 * that process, or the queue, dies; one is told twice only where the queue died.
 */
#ifndef MANSIO_DRAFT_EVENT_H
#define MANSIO_DRAFT_EVENT_H

#include "mansio/draft/build.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  MANSIO_EVENT_INSERTED = 0,   /* a message is in the queue, on stable storage */
  MANSIO_EVENT_ROUTED = 1,     /* a recipient's transport and next hop, at first and when they change */
  MANSIO_EVENT_DELIVERING = 2, /* an attempt begins, for each recipient */
  MANSIO_EVENT_DELIVERED = 3,  /* how it ended, for each recipient */
  MANSIO_EVENT_DEFERRED = 4,
  MANSIO_EVENT_BOUNCED = 5, /* also when it was given up for its age */
  MANSIO_EVENT_REMOVED = 6, /* the message left the queue: the last recipient is done, or it was deleted */
  MANSIO_EVENT_LOG = 7 /* a line of the log, of any process but those of event plugins: the field "line", without its
                          end; soon after it was written, perhaps not in the order of the log */
};

typedef struct mansio_event {
  uint32_t size;
  uint32_t event;            /* MANSIO_EVENT_* */
  int64_t time;              /* wall, ns: when it happened */
  mansio_str queue_id;       /* of what it concerns; empty = none */
  mansio_str recipient;      /* empty = the whole message */
  const mansio_pair *fields; /* named as in the log (docs/plugin-guide.md); one without value is not there */
  size_t n_fields;
} mansio_event;

typedef struct mansio_event_sink {
  uint64_t (*events)(void *self); /* [init] bit 1 << event of those it wants, at least one; others cost nothing */
  void (*notify)(void *self, const mansio_event *event); /* [loop] must not block */
} mansio_event_sink;

#ifdef __cplusplus
}
#endif
#endif
