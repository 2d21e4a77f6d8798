/* @NAME@: counts what became of mail, and logs what bounced. Replace notify() by what you need. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mansio/draft/event.h>

typedef struct instance {
  const mansio_host *host;
  const mansio_host_log *log;
  const mansio_host_metrics *metrics;
  mansio_str suffix; /* of the option; lives as long as the instance */
  uint32_t sent;
} instance;

static mansio_status create(const mansio_host *host, void **out) {
  const mansio_host_config *config = host->get(host, "mansio.host.config/1");
  instance *self = calloc(1, sizeof *self);
  if (!self) return MANSIO_INTERNAL;
  self->host = host;
  self->log = host->get(host, "mansio.host.log/1");
  self->metrics = host->get(host, "mansio.host.metrics/1");
  self->suffix = config->get(host, "suffix");
  self->sent = self->metrics->define(host, MANSIO_METRIC_COUNTER, "sent", "recipients delivered to");
  *out = self;
  return MANSIO_OK;
}

static void destroy(void *p) { free(p); }

/* The events that it is told; see mansio/draft/event.h. */
static uint64_t events(void *p) {
  (void)p;
  return UINT64_C(1) << MANSIO_EVENT_DELIVERED | UINT64_C(1) << MANSIO_EVENT_BOUNCED;
}

static mansio_str field(const mansio_event *event, const char *name) {
  static const mansio_str none = {"", 0};
  size_t i;
  for (i = 0; i < event->n_fields; ++i) {
    const mansio_str is = event->fields[i].name;
    if (is.n == strlen(name) && memcmp(is.p, name, is.n) == 0) return event->fields[i].value;
  }
  return none;
}

/* On the loop: it must not block. Nobody waits for it, and it changes nothing. */
static void notify(void *p, const mansio_event *event) {
  instance *self = p;
  const mansio_op none = {0};
  const mansio_str said = field(event, "text");
  char line[500];
  mansio_str text;
  int n;
  if (event->event == MANSIO_EVENT_DELIVERED) {
    self->metrics->add(self->host, self->sent, 1);
    return;
  }
  n = snprintf(line, sizeof line, "%.*s bounced for %.*s: %.*s%.*s", (int)event->queue_id.n, event->queue_id.p,
               (int)event->recipient.n, event->recipient.p, (int)said.n, said.p, (int)self->suffix.n,
               self->suffix.n ? self->suffix.p : "");
  text.p = line;
  text.n = n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
  self->log->log(self->host, MANSIO_LOG_INFO, none, text);
}

static const void *get(void *p, const char *iface) {
  static const mansio_event_sink sink = {events, notify};
  (void)p;
  return strcmp(iface, "mansio.event/1~draft") == 0 ? &sink : NULL;
}

const mansio_plugin *mansio_plugin_entry_1(void) {
  static const char *const kinds[] = {"mansio.event/1~draft", NULL};
  static const mansio_option options[] = {
      {"suffix", MANSIO_OPT_TEXT, 0, "", "What is added to the lines."},
      {NULL, 0, 0, NULL, NULL},
  };
  static const mansio_plugin plugin = {
      sizeof plugin, 0,     MANSIO_DRAFT_BUILD, 0,      MANSIO_LOOP, 0,   "@NAME@",
      "0.1",         kinds, options,            create, destroy,     get, NULL,
  };
  return &plugin;
}
