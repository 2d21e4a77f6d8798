/* A lookup as it was written for 1.0. Frozen, like the header beside it: what it relies on must hold in every 1.x. */
#include <stdlib.h>
#include <string.h>

#include "mansio/abi.h"

typedef struct golden {
  const mansio_host *host;
  const mansio_host_op *op;
  const mansio_host_config *config;
  const mansio_host_metrics *metrics;
  uint32_t asked;
} golden;

static mansio_status create(const mansio_host *host, void **out) {
  golden *self;
  if (host->size < sizeof(mansio_host)) return MANSIO_INTERNAL;
  self = calloc(1, sizeof *self);
  self->host = host;
  self->op = host->get(host, "mansio.host.op/1");
  self->config = host->get(host, "mansio.host.config/1");
  self->metrics = host->get(host, "mansio.host.metrics/1");
  if (host->get(host, "mansio.host.nothing/1") != NULL || !self->op || !self->config || !self->metrics ||
      !host->get(host, "mansio.host.log/1") || !host->get(host, "mansio.host.problem/1") ||
      !host->get(host, "mansio.host.reactor/1") || !host->get(host, "mansio.host.dns/1") ||
      !host->get(host, "mansio.host.lookup/1") || !host->get(host, "mansio.host.message/1"))
    return MANSIO_INTERNAL;
  self->asked = self->metrics->define(host, MANSIO_METRIC_COUNTER, "asked", "keys");
  *out = self;
  return MANSIO_OK;
}

static void destroy(void *p) { free(p); }

/* The value of option `answer`, twice, for any key but "none". */
static void start(void *p, mansio_op op, const mansio_lookup_request *request) {
  golden *self = p;
  const mansio_str value = self->config->get(self->host, "answer");
  const mansio_str values[2] = {value, value};
  mansio_reply reply;
  memset(&reply, 0, sizeof reply);
  reply.size = sizeof reply;
  if (request->key.n == 4 && memcmp(request->key.p, "none", 4) == 0) {
    reply.status = MANSIO_NOT_FOUND;
  } else {
    reply.status = MANSIO_OK;
    reply.values = values;
    reply.n_values = 2;
    reply.ttl_ns = 5000000000;
  }
  self->metrics->add(self->host, self->asked, 1);
  self->op->complete(self->host, op, &reply);
}

static const void *get(void *p, const char *iface) {
  static const mansio_lookup lookup = {start, NULL};
  (void)p;
  return strcmp(iface, "mansio.lookup/1") == 0 ? &lookup : NULL;
}

const mansio_plugin *mansio_plugin_entry_1(void) {
  static const char *const kinds[] = {"mansio.lookup/1", NULL};
  static const mansio_option options[] = {{"answer", MANSIO_OPT_TEXT, 0, "golden", "what is found"},
                                          {NULL, 0, 0, NULL, NULL}};
  static const mansio_plugin plugin = {sizeof plugin, 0,     0,       0,      MANSIO_LOOP, 0,   "golden-lookup",
                                       "1.0",         kinds, options, create, destroy,     get, NULL};
  return &plugin;
}
