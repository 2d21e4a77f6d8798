/* @NAME@: gives a number of permits for all limits together and no more. Replace lease() by what you need. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mansio/draft/rate.h>

typedef struct instance {
  const mansio_host *host;
  const mansio_host_op *op;
  unsigned long left;
} instance;

static mansio_status create(const mansio_host *host, void **out) {
  const mansio_host_config *config = host->get(host, "mansio.host.config/1");
  const mansio_str most = config->get(host, "most"); /* which need not end in a NUL */
  char text[24];
  instance *self = calloc(1, sizeof *self);
  if (!self) return MANSIO_INTERNAL;
  self->host = host;
  self->op = host->get(host, "mansio.host.op/1");
  snprintf(text, sizeof text, "%.*s", (int)most.n, most.p);
  self->left = strtoul(text, NULL, 10);
  *out = self;
  return MANSIO_OK;
}

static void destroy(void *p) { free(p); }

/* OK with how many, for how long and when to ask again; DEFER when you cannot say. */
static void lease(void *p, mansio_op op, const mansio_rate_request *request) {
  instance *self = p;
  const unsigned long given = request->want < self->left ? request->want : self->left;
  char text[24];
  mansio_str value;
  mansio_reply reply;
  self->left -= given;
  snprintf(text, sizeof text, "%lu", given);
  value.p = text;
  value.n = strlen(text);
  memset(&reply, 0, sizeof reply);
  reply.size = sizeof reply;
  reply.status = MANSIO_OK;
  reply.values = &value;
  reply.n_values = 1;
  reply.ttl_ns = INT64_C(10000000000);
  reply.retry_ns = given < request->want ? INT64_C(1000000000) : 0;
  self->op->complete(self->host, op, &reply);
}

static void give_back(void *p, mansio_str limit, mansio_str key, uint32_t unused) {
  instance *self = p;
  (void)limit;
  (void)key;
  self->left += unused;
}

static const void *get(void *p, const char *iface) {
  static const mansio_rate rate = {lease, give_back, NULL, NULL};
  (void)p;
  return strcmp(iface, "mansio.rate/1~draft") == 0 ? &rate : NULL;
}

const mansio_plugin *mansio_plugin_entry_1(void) {
  static const char *const kinds[] = {"mansio.rate/1~draft", NULL};
  static const mansio_option options[] = {
      {"most", MANSIO_OPT_INTEGER, 0, "1000", "Permits in all."},
      {NULL, 0, 0, NULL, NULL},
  };
  static const mansio_plugin plugin = {
      sizeof plugin, 0,     MANSIO_DRAFT_BUILD, 0,      MANSIO_LOOP, 0,   "@NAME@",
      "0.1",         kinds, options,            create, destroy,     get, NULL,
  };
  return &plugin;
}
