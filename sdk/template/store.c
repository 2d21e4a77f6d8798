/* @NAME@: keeps each message in a file of its own in the state directory. Replace the four functions by what you need.
   Never answer OK for what a power cut can undo. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mansio/draft/store.h>

#define MOST 1000 /* ids that one scan may ask for */

typedef struct instance {
  const mansio_host *host;
  const mansio_host_op *op;
  const mansio_host_message *message;
  int directory;
} instance;

static mansio_status create(const mansio_host *host, void **out) {
  const mansio_host_config *config = host->get(host, "mansio.host.config/1");
  const mansio_str directory = config->fact(host, "state_directory"); /* which need not end in a NUL */
  char path[4096];
  instance *self = calloc(1, sizeof *self);
  if (!self) return MANSIO_INTERNAL;
  self->host = host;
  self->op = host->get(host, "mansio.host.op/1");
  self->message = host->get(host, "mansio.host.message/1");
  snprintf(path, sizeof path, "%.*s", (int)directory.n, directory.p);
  self->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (self->directory < 0) {
    free(self);
    return MANSIO_INTERNAL;
  }
  *out = self;
  return MANSIO_OK;
}

static void destroy(void *p) {
  close(((instance *)p)->directory);
  free(p);
}

static void answer(instance *self, mansio_op op, mansio_status status, const mansio_str *values, size_t n) {
  mansio_reply reply;
  memset(&reply, 0, sizeof reply);
  reply.size = sizeof reply;
  reply.status = status;
  reply.values = values;
  reply.n_values = n;
  self->op->complete(self->host, op, &reply);
}

/* "ID.mail" or "ID.outcome", with a dot before it while it is being written. */
static void name_of(char *to, size_t n, const char *before, mansio_str id, const char *ending) {
  snprintf(to, n, "%s%.*s%s", before, (int)id.n, id.p, ending);
}

/* That it is not there is fine. */
static int remove_file(instance *self, const char *before, mansio_str id, const char *ending) {
  char name[100];
  name_of(name, sizeof name, before, id, ending);
  return unlinkat(self->directory, name, 0) == 0 || errno == ENOENT;
}

/* Under another name until it is whole and synced. The message of `op`, or `text`. */
static int write_file(instance *self, mansio_op op, mansio_str id, const char *ending, const char *text, size_t n) {
  char before[100], name[100], block[65536];
  uint64_t at = 0;
  int64_t got;
  int fine = 1, fd;
  name_of(before, sizeof before, ".", id, ending);
  name_of(name, sizeof name, "", id, ending);
  fd = openat(self->directory, before, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return 0;
  if (text) {
    fine = write(fd, text, n) == (ssize_t)n;
  } else {
    while (fine && (got = self->message->read(self->host, op, at, block, sizeof block)) != 0) {
      fine = got > 0 && write(fd, block, (size_t)got) == (ssize_t)got;
      at += got > 0 ? (uint64_t)got : 0;
    }
  }
  fine = fsync(fd) == 0 && fine;
  close(fd);
  fine = fine && renameat(self->directory, before, self->directory, name) == 0;
  if (!fine) unlinkat(self->directory, before, 0); /* the disk may be full */
  return fine && fsync(self->directory) == 0;
}

/* Up to n octets from there; -1: errno says why. */
static ssize_t read_file(instance *self, mansio_str id, const char *ending, uint64_t from, char *to, size_t n) {
  char name[100];
  ssize_t got = 0, all = 0;
  int fd, error;
  name_of(name, sizeof name, "", id, ending);
  fd = openat(self->directory, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  while ((size_t)all < n && (got = pread(fd, to + all, n - (size_t)all, (off_t)(from + (uint64_t)all))) > 0) all += got;
  error = errno;
  close(fd);
  errno = error;
  return got < 0 ? -1 : all;
}

/* What was known of an earlier one of that id goes first. */
static void commit(void *p, mansio_op op, const mansio_store_commit *message) {
  const int fine = remove_file(p, "", message->id, ".outcome") && write_file(p, op, message->id, ".mail", NULL, 0);
  answer(p, op, fine ? MANSIO_OK : MANSIO_DEFER, NULL, 0);
}

/* The file of an outcome is its sequence and then its record. */
static void outcome(void *p, mansio_op op, const mansio_store_outcome *o) {
  instance *self = p;
  char octet, *text;
  uint64_t known = 0;
  int fine;
  if (o->last) { /* the message first: without it the rest says nothing */
    fine = remove_file(self, "", o->id, ".mail") && remove_file(self, "", o->id, ".outcome") &&
           fsync(self->directory) == 0;
    answer(self, op, fine ? MANSIO_OK : MANSIO_DEFER, NULL, 0);
    return;
  }
  if ((read_file(self, o->id, ".mail", 0, &octet, 1) < 0 && errno == ENOENT) ||
      (read_file(self, o->id, ".outcome", 0, (char *)&known, sizeof known) == sizeof known && known >= o->sequence)) {
    answer(self, op, MANSIO_OK, NULL, 0);
    return;
  }
  text = malloc(sizeof o->sequence + o->record.n);
  fine = text != NULL;
  if (fine) {
    memcpy(text, &o->sequence, sizeof o->sequence);
    if (o->record.n > 0) memcpy(text + sizeof o->sequence, o->record.p, o->record.n);
    fine = write_file(self, op, o->id, ".outcome", text, sizeof o->sequence + o->record.n);
  }
  free(text);
  answer(self, op, fine ? MANSIO_OK : MANSIO_DEFER, NULL, 0);
}

static void read_part(void *p, mansio_op op, const mansio_store_read *r) {
  instance *self = p;
  const size_t most = sizeof(uint64_t) + 48 * 1024;
  char *octets = malloc((size_t)r->length + 1), *record = malloc(most);
  ssize_t n, m;
  mansio_str values[2];
  if (!octets || !record) {
    answer(self, op, MANSIO_DEFER, NULL, 0);
  } else if ((n = read_file(self, r->id, ".mail", r->offset, octets, (size_t)r->length)) < 0) {
    answer(self, op, errno == ENOENT ? MANSIO_NOT_FOUND : MANSIO_DEFER, NULL, 0);
  } else {
    m = read_file(self, r->id, ".outcome", 0, record, most);
    values[0].p = octets;
    values[0].n = (size_t)n;
    values[1].p = record + sizeof(uint64_t);
    values[1].n = m > (ssize_t)sizeof(uint64_t) ? (size_t)m - sizeof(uint64_t) : 0;
    answer(self, op, MANSIO_OK, values, 2);
  }
  free(record);
  free(octets);
}

/* The cursor is the last id that was named. */
static void scan(void *p, mansio_op op, const mansio_store_scan *s) {
  instance *self = p;
  mansio_str values[1 + MOST];
  struct dirent **names = NULL;
  char path[64], cursor[100];
  size_t found = 0;
  int i, n, more = 0;
  snprintf(path, sizeof path, "/proc/self/fd/%d", self->directory);
  snprintf(cursor, sizeof cursor, "%.*s.mail", (int)s->cursor.n, s->cursor.n > 0 ? s->cursor.p : "");
  n = scandir(path, &names, NULL, alphasort);
  if (n < 0) {
    answer(self, op, MANSIO_DEFER, NULL, 0);
    return;
  }
  for (i = 0; i < n && !more; ++i) {
    const size_t length = strlen(names[i]->d_name);
    if (names[i]->d_name[0] == '.' || length < 6 || strcmp(names[i]->d_name + length - 5, ".mail") != 0) continue;
    if (s->cursor.n > 0 && strcoll(names[i]->d_name, cursor) <= 0) continue;
    more = found == s->max || found == MOST;
    if (more) break;
    values[++found].p = names[i]->d_name;
    values[found].n = length - 5;
  }
  values[0].p = more ? values[found].p : NULL;
  values[0].n = more ? values[found].n : 0;
  answer(self, op, MANSIO_OK, values, 1 + found);
  for (i = 0; i < n; ++i) free(names[i]);
  free(names);
}

static const void *get(void *p, const char *iface) {
  static const mansio_store store = {commit, outcome, read_part, scan, NULL};
  (void)p;
  return strcmp(iface, "mansio.store/1~draft") == 0 ? &store : NULL;
}

const mansio_plugin *mansio_plugin_entry_1(void) {
  static const char *const kinds[] = {"mansio.store/1~draft", NULL};
  static const mansio_option options[] = {{NULL, 0, 0, NULL, NULL}};
  static const mansio_plugin plugin = {
      sizeof plugin, 0,     MANSIO_DRAFT_BUILD, MANSIO_NEEDS_STATE, MANSIO_BLOCKING, 8,   "@NAME@",
      "0.1",         kinds, options,            create,             destroy,         get, NULL,
  };
  return &plugin;
}
