/* @NAME@: knows one user. Replace start() by what you need. */
#include <stdlib.h>
#include <string.h>

#include <mansio/draft/auth.h>

typedef struct instance {
  const mansio_host *host;
  const mansio_host_op *op;
  mansio_str user, password; /* of the options; live as long as the instance */
} instance;

static mansio_status create(const mansio_host *host, void **out) {
  const mansio_host_config *config = host->get(host, "mansio.host.config/1");
  instance *self = calloc(1, sizeof *self);
  if (!self) return MANSIO_INTERNAL;
  self->host = host;
  self->op = host->get(host, "mansio.host.op/1");
  self->user = config->get(host, "user");
  self->password = config->get(host, "password");
  *out = self;
  return MANSIO_OK;
}

static void destroy(void *p) { free(p); }

/* In clear nothing is offered. */
static mansio_str mechanisms(void *p, int clear) {
  mansio_str names = {"PLAIN", 5};
  (void)p;
  if (clear) names.n = 0;
  return names;
}

static int same(mansio_str a, const char *p, size_t n) { return a.n == n && memcmp(a.p, p, n) == 0; }

/* RFC 4616: [authzid] NUL authcid NUL passwd. Nobody acts for another. */
static int is_the_user(const instance *self, mansio_str message) {
  const char *end = message.p + message.n;
  const char *user = memchr(message.p, 0, message.n);
  const char *password = user ? memchr(user + 1, 0, (size_t)(end - user - 1)) : NULL;
  if (!password || self->password.n == 0) return 0;
  if (user != message.p && !same(self->user, message.p, (size_t)(user - message.p))) return 0;
  return same(self->user, user + 1, (size_t)(password - user - 1)) &&
         same(self->password, password + 1, (size_t)(end - password - 1));
}

/* OK with the user, FAIL, DEFER for "cannot say now", or SKIP with a challenge for a step more. */
static void start(void *p, mansio_op op, const mansio_auth_step *step) {
  instance *self = p;
  mansio_reply reply;
  memset(&reply, 0, sizeof reply);
  reply.size = sizeof reply;
  if (!step->response.p) {
    reply.status = MANSIO_SKIP;
  } else if (is_the_user(self, step->response)) {
    reply.status = MANSIO_OK;
    reply.values = &self->user;
    reply.n_values = 1;
  } else {
    reply.status = MANSIO_FAIL;
  }
  self->op->complete(self->host, op, &reply);
}

static const void *get(void *p, const char *iface) {
  static const mansio_auth auth = {mechanisms, start, NULL, NULL};
  (void)p;
  return strcmp(iface, "mansio.auth/1~draft") == 0 ? &auth : NULL;
}

const mansio_plugin *mansio_plugin_entry_1(void) {
  static const char *const kinds[] = {"mansio.auth/1~draft", NULL};
  static const mansio_option options[] = {
      {"user", MANSIO_OPT_TEXT, 0, "someone", "The one user."},
      {"password", MANSIO_OPT_TEXT, MANSIO_OPT_SECRET, "", "Its password; without one nobody is let in."},
      {NULL, 0, 0, NULL, NULL},
  };
  static const mansio_plugin plugin = {
      sizeof plugin, 0,     MANSIO_DRAFT_BUILD, 0,      MANSIO_LOOP, 0,   "@NAME@",
      "0.1",         kinds, options,            create, destroy,     get, NULL,
  };
  return &plugin;
}
