/* @NAME@: answers every key with the value of an option. Replace start() by what you need. */
#include <stdlib.h>
#include <string.h>

#include <mansio/abi.h>

typedef struct instance {
  const mansio_host *host;
  const mansio_host_op *op;
  mansio_str value; /* of the option; lives as long as the instance */
} instance;

static mansio_status create(const mansio_host *host, void **out) {
  const mansio_host_config *config = host->get(host, "mansio.host.config/1");
  instance *self = calloc(1, sizeof *self);
  if (!self) return MANSIO_INTERNAL;
  self->host = host;
  self->op = host->get(host, "mansio.host.op/1");
  self->value = config->get(host, "value");
  *out = self;
  return MANSIO_OK;
}

static void destroy(void *p) { free(p); }

/* One of three outcomes: OK with a value, NOT_FOUND, or DEFER with a reason when you cannot say. A server that is down
   must never look like a key that does not exist. */
static void start(void *p, mansio_op op, const mansio_lookup_request *request) {
  instance *self = p;
  mansio_reply reply;
  memset(&reply, 0, sizeof reply);
  reply.size = sizeof reply;
  if (request->key.n == 0) {
    reply.status = MANSIO_NOT_FOUND;
  } else {
    reply.status = MANSIO_OK;
    reply.values = &self->value;
    reply.n_values = 1;
  }
  self->op->complete(self->host, op, &reply);
}

static const void *get(void *p, const char *iface) {
  static const mansio_lookup lookup = {start, NULL};
  (void)p;
  return strcmp(iface, "mansio.lookup/1") == 0 ? &lookup : NULL;
}

const mansio_plugin *mansio_plugin_entry_1(void) {
  static const char *const kinds[] = {"mansio.lookup/1", NULL};
  static const mansio_option options[] = {
      {"value", MANSIO_OPT_TEXT, 0, "value", "What is found for every key."},
      {NULL, 0, 0, NULL, NULL},
  };
  static const mansio_plugin plugin = {
      sizeof plugin, 0,       0,      0,       MANSIO_LOOP, 0,    "@NAME@",
      "0.1",         kinds,   options, create, destroy,     get,  NULL,
  };
  return &plugin;
}
