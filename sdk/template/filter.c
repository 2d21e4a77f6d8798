/* @NAME@: adds a header field to every message. Replace start() by what you need. */
#include <stdlib.h>
#include <string.h>

#include <mansio/draft/filter.h>

typedef struct instance {
  const mansio_host *host;
  const mansio_host_op *op;
  const mansio_host_edit *edit;
  mansio_str value; /* of the option; lives as long as the instance */
} instance;

static mansio_status create(const mansio_host *host, void **out) {
  const mansio_host_config *config = host->get(host, "mansio.host.config/1");
  instance *self = calloc(1, sizeof *self);
  if (!self) return MANSIO_INTERNAL;
  self->host = host;
  self->op = host->get(host, "mansio.host.op/1");
  self->edit = host->get(host, "mansio.host.edit/1~draft");
  self->value = config->get(host, "value");
  *out = self;
  return MANSIO_OK;
}

static void destroy(void *p) { free(p); }

/* The stages that it sees; see mansio/draft/filter.h. */
static uint64_t stages(void *p) {
  (void)p;
  return UINT64_C(1) << MANSIO_STAGE_END_OF_MESSAGE;
}

/* The whole message is here: "mansio.host.message/1" reads it. What is changed counts with OK. */
static void start(void *p, mansio_op op, const mansio_stage *stage) {
  static const mansio_str name = {"X-@CLASS@", sizeof "X-@CLASS@" - 1};
  instance *self = p;
  mansio_reply reply;
  (void)stage;
  memset(&reply, 0, sizeof reply);
  reply.size = sizeof reply;
  reply.status = MANSIO_OK;
  self->edit->add_header(self->host, op, 0, name, self->value);
  self->op->complete(self->host, op, &reply);
}

static const void *get(void *p, const char *iface) {
  static const mansio_filter filter = {stages, start, NULL, NULL};
  (void)p;
  return strcmp(iface, "mansio.filter/1~draft") == 0 ? &filter : NULL;
}

const mansio_plugin *mansio_plugin_entry_1(void) {
  static const char *const kinds[] = {"mansio.filter/1~draft", NULL};
  static const mansio_option options[] = {
      {"value", MANSIO_OPT_TEXT, 0, "seen", "What the field says."},
      {NULL, 0, 0, NULL, NULL},
  };
  static const mansio_plugin plugin = {
      sizeof plugin, 0,     MANSIO_DRAFT_BUILD, 0,      MANSIO_LOOP, 0,   "@NAME@",
      "0.1",         kinds, options,            create, destroy,     get, NULL,
  };
  return &plugin;
}
