/* @NAME@: refuses recipients of one domain. Replace start() by what you need. */
#include <stdlib.h>
#include <string.h>

#include <mansio/draft/filter.h>

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
  self->value = config->get(host, "refuse");
  *out = self;
  return MANSIO_OK;
}

static void destroy(void *p) { free(p); }

/* The stages that it sees; see mansio/draft/filter.h. */
static uint64_t stages(void *p) {
  (void)p;
  return UINT64_C(1) << MANSIO_STAGE_RCPT;
}

static int ends_with(mansio_str text, mansio_str end) {
  return text.n > end.n && text.p[text.n - end.n - 1] == '@' && memcmp(text.p + text.n - end.n, end.p, end.n) == 0;
}

/* OK, SKIP without an opinion, DEFER for "try again later", or FAIL. */
static void start(void *p, mansio_op op, const mansio_stage *stage) {
  instance *self = p;
  mansio_reply reply;
  memset(&reply, 0, sizeof reply);
  reply.size = sizeof reply;
  reply.status = MANSIO_OK;
  if (stage->n_arguments > 0 && ends_with(stage->arguments[0], self->value)) {
    static const char text[] = "not for that domain";
    reply.status = MANSIO_FAIL;
    reply.enhanced[0] = 5;
    reply.enhanced[1] = 7;
    reply.enhanced[2] = 1;
    reply.text.p = text;
    reply.text.n = sizeof text - 1;
  }
  self->op->complete(self->host, op, &reply);
}

static const void *get(void *p, const char *iface) {
  static const mansio_policy policy = {stages, start, NULL, NULL};
  (void)p;
  return strcmp(iface, "mansio.policy/1~draft") == 0 ? &policy : NULL;
}

const mansio_plugin *mansio_plugin_entry_1(void) {
  static const char *const kinds[] = {"mansio.policy/1~draft", NULL};
  static const mansio_option options[] = {
      {"refuse", MANSIO_OPT_TEXT, 0, "refused.example", "The domain whose recipients are refused."},
      {NULL, 0, 0, NULL, NULL},
  };
  static const mansio_plugin plugin = {
      sizeof plugin, 0,     MANSIO_DRAFT_BUILD, 0,      MANSIO_LOOP, 0,   "@NAME@",
      "0.1",         kinds, options,            create, destroy,     get, NULL,
  };
  return &plugin;
}
