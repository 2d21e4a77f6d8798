/* @NAME@: takes every message and keeps nothing. Replace start() by what you need. */
#include <stdlib.h>
#include <string.h>

#include <mansio/abi.h>

typedef struct instance {
  const mansio_host *host;
  const mansio_host_op *op;
  mansio_str say; /* of the option; lives as long as the instance */
} instance;

static mansio_status create(const mansio_host *host, void **out) {
  const mansio_host_config *config = host->get(host, "mansio.host.config/1");
  instance *self = calloc(1, sizeof *self);
  if (!self) return MANSIO_INTERNAL;
  self->host = host;
  self->op = host->get(host, "mansio.host.op/1");
  self->say = config->get(host, "say");
  *out = self;
  return MANSIO_OK;
}

static void destroy(void *p) { free(p); }

/* Answer each recipient with op->rcpt() as soon as its fate is known, or all with op->complete(): OK, DEFER to try again
   later, FAIL to return the mail. "mansio.host.message/1" reads the message. */
static void start(void *p, mansio_op op, const mansio_delivery *delivery) {
  instance *self = p;
  mansio_reply reply;
  (void)delivery;
  memset(&reply, 0, sizeof reply);
  reply.size = sizeof reply;
  reply.status = MANSIO_OK;
  reply.text = self->say;
  self->op->complete(self->host, op, &reply);
}

static const void *get(void *p, const char *iface) {
  static const mansio_transport transport = {start, NULL};
  (void)p;
  return strcmp(iface, "mansio.transport/1") == 0 ? &transport : NULL;
}

const mansio_plugin *mansio_plugin_entry_1(void) {
  static const char *const kinds[] = {"mansio.transport/1", NULL};
  static const mansio_option options[] = {
      {"say", MANSIO_OPT_TEXT, 0, "taken", "What the log says of each delivery."},
      {NULL, 0, 0, NULL, NULL},
  };
  static const mansio_plugin plugin = {
      sizeof plugin, 0,       0,      0,       MANSIO_LOOP, 0,    "@NAME@",
      "0.1",         kinds,   options, create, destroy,     get,  NULL,
  };
  return &plugin;
}
