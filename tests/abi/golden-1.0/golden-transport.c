/* A transport as it was written for 1.0: reports the first recipient with what the delivery says, the rest by its last
 * word, from a timer. Frozen, like the header beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mansio/abi.h"

typedef struct golden {
  const mansio_host *host;
  const mansio_host_op *op;
  const mansio_host_message *message;
  const mansio_host_reactor *reactor;
} golden;

typedef struct job {
  golden *self;
  mansio_op op;
} job;

static mansio_reply reply_of(mansio_status status, const char *text) {
  mansio_reply r;
  memset(&r, 0, sizeof r);
  r.size = sizeof r;
  r.status = status;
  r.smtp_code = status == MANSIO_OK ? 250 : 550;
  r.enhanced[0] = status == MANSIO_OK ? 2 : 5;
  r.enhanced[1] = 1;
  r.enhanced[2] = 5;
  r.text.p = text;
  r.text.n = strlen(text);
  r.relay.p = "golden";
  r.relay.n = 6;
  return r;
}

static mansio_status create(const mansio_host *host, void **out) {
  golden *self = calloc(1, sizeof *self);
  self->host = host;
  self->op = host->get(host, "mansio.host.op/1");
  self->message = host->get(host, "mansio.host.message/1");
  self->reactor = host->get(host, "mansio.host.reactor/1");
  *out = self;
  return MANSIO_OK;
}

static void destroy(void *p) { free(p); }

static void later(void *arg) {
  job *j = arg;
  const mansio_reply last = reply_of(MANSIO_FAIL, "the others are unknown");
  if (j->self->op->alive(j->self->host, j->op)) j->self->op->complete(j->self->host, j->op, &last);
  free(j);
}

static void start(void *p, mansio_op op, const mansio_delivery *d) {
  golden *self = p;
  const mansio_recipient *first = d->recipients;
  char text[200], bytes[16];
  const int64_t n = self->message->read(self->host, op, 0, bytes, sizeof bytes);
  job *j = malloc(sizeof *j);
  snprintf(text, sizeof text, "%.*s to %.*s of %u, %llu bytes: %.*s", (int)d->sender.n, d->sender.p,
           (int)first->address.n, first->address.p, (unsigned)d->n_recipients, (unsigned long long)d->length,
           n > 0 ? (int)n : 0, bytes);
  {
    const mansio_reply ok = reply_of(MANSIO_OK, text);
    self->op->rcpt(self->host, op, 0, &ok);
  }
  j->self = self;
  j->op = op;
  self->reactor->timer(self->host, 1000000, later, j);
}

static const void *get(void *p, const char *iface) {
  static const mansio_transport transport = {start, NULL};
  (void)p;
  return strcmp(iface, "mansio.transport/1") == 0 ? &transport : NULL;
}

const mansio_plugin *mansio_plugin_entry_1(void) {
  static const char *const kinds[] = {"mansio.transport/1", NULL};
  static const mansio_plugin plugin = {sizeof plugin, 0,     0,    0,      MANSIO_LOOP, 0,   "golden-transport",
                                       "1.0",         kinds, NULL, create, destroy,     get, NULL};
  return &plugin;
}
