/*
 * The Mansio plugin ABI, version 1.4: C11, self-contained, nothing but integers and pointers to bytes.
 *
 * A plugin is a shared object that exports one symbol, mansio_plugin_entry_1. Everything else is reached through
 * vtables behind string ids. What this file declares is frozen: a plugin built against it loads in every later 1.x.
 * Kinds and services that are not frozen yet are in mansio/draft/. sdk/ABI.md has the rules and the change log.
 *
 * Rules
 *  - Vtables never change; a change is a new id ("mansio.lookup/2"), and the host goes on offering and taking the old.
 *  - Records start with `size`, the writer's sizeof, and only grow at the end; the reader takes what lies beyond `size`
 *    as zero. Padding never gets a meaning. Arrays of records carry a stride. mansio_str, mansio_pair, mansio_op and
 *    mansio_option are no records: they never grow.
 *  - Arguments are borrowed until the call returns; replies are copied before the host's function returns; nobody frees
 *    what the other side allocated. No exception, FILE, errno or locale crosses.
 *  - start() is answered by complete(op, ...) exactly once, from any thread, at once or later. A second, late or
 * unknown completion is a counted no-op. Deadlines are the host's; cancel() is a courtesy.
 *  - Times are nanoseconds. Monotonic ones count like reactor's now(), wall ones from 1970.
 *  - Thread tags: [init] before traffic, one thread; [loop] the instance's loop, must not block; [pool] a thread of the
 *    host's pool, may block; [any] any thread, also from inside another call.
 */
#ifndef MANSIO_ABI_H
#define MANSIO_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MANSIO_EXPORT __attribute__((visibility("default")))
#define MANSIO_ABI_MINOR 4u /* of 1.x: the newest that this header describes */

typedef struct mansio_str { /* bytes; no terminating NUL promised; p may be NULL when n is 0 */
  const char *p;
  size_t n;
} mansio_str;

typedef struct mansio_pair {
  mansio_str name, value;
} mansio_pair;

typedef struct mansio_op { /* by value: a slot and its generation, so it may go stale but not dangle; 0 is none */
  uint64_t id;
} mansio_op;

typedef int32_t mansio_status;
enum {
  MANSIO_OK = 0,
  MANSIO_NOT_FOUND = 1,
  MANSIO_SKIP = 2,       /* no opinion: as if the plugin were not there */
  MANSIO_DEFER = -1,     /* temporary: try later */
  MANSIO_FAIL = -2,      /* permanent for this recipient, message or key */
  MANSIO_BUSY = -3,      /* not started: overload, ask again */
  MANSIO_UNCERTAIN = -4, /* may have happened: the host retries */
  MANSIO_CANCELLED = -5,
  MANSIO_BAD_CONFIG = -6,
  MANSIO_UNSUPPORTED = -7,
  MANSIO_INTERNAL = -8 /* a fault of the plugin; the host takes any status that it does not know as this one */
};

/* ---- plugin -> host: the answer to an operation ---------------------------------------------------------------- */

typedef struct mansio_reply {
  uint32_t size; /* one that is less than in 1.0 makes the reply MANSIO_INTERNAL, whatever else it says */
  mansio_status status;
  uint16_t smtp_code;       /* 0, or 2xx/4xx/5xx as a server said it */
  uint16_t enhanced[3];     /* RFC 3463; all 0 = none */
  uint32_t flags;           /* MANSIO_REPLY_* */
  uint32_t connection_use;  /* transport: which use of its connection this was, from 1 */
  mansio_str text;          /* reply or reason, UTF-8, no line ends */
  const mansio_str *values; /* lookup: the result, one or several values */
  size_t n_values;
  int64_t ttl_ns;         /* lookup: how long the answer may be reused; 0 = as the host likes, < 0 = not at all */
  int64_t retry_ns;       /* DEFER, BUSY: do not ask again before; a hint, 0 = none */
  mansio_str remote_mta;  /* transport: host name for a DSN's Remote-MTA (RFC 3464); empty = none */
  mansio_str relay;       /* transport, for the log: "mx.example.com[192.0.2.1]:25", "none", "local" */
  mansio_str tls;         /* transport: "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty = clear */
  mansio_str destination; /* transport, of complete(): a connection there stays open and idle, so the next delivery to
                             it is cheap: the next hop or, without one, the recipients' domain; empty = none */
  int64_t connect_ns;     /* transport: time for connection set-up, 0 when reused */
  int64_t transmit_ns;    /* transport: time for the transaction */
} mansio_reply;

enum {
  MANSIO_REPLY_SITE_FAILURE = 1u, /* no server of the destination could be used: slow down towards it */
  MANSIO_REPLY_DSN_RELAYED = 2u   /* the next hop takes over the duty to notify (it offers DSN) */
};

/* ---- host services ---------------------------------------------------------------------------------------------- */

typedef struct mansio_host {
  uint32_t size;
  uint32_t abi_minor;                                                    /* of 1.x, what this host offers */
  void *ctx;                                                             /* the host's */
  const void *(*get)(const struct mansio_host *host, const char *iface); /* [any] NULL = not offered */
} mansio_host;

enum { MANSIO_LOG_DEBUG = 0, MANSIO_LOG_INFO = 1, MANSIO_LOG_WARN = 2, MANSIO_LOG_ERROR = 3 };

typedef struct mansio_host_log { /* "mansio.host.log/1" [any] */
  /* The host adds plugin, instance and, when op is not 0, the queue id. It drops lines of a plugin that floods, and
   * says how many. */
  void (*log)(const mansio_host *host, int level, mansio_op op, mansio_str text);
} mansio_host_log;

enum { MANSIO_METRIC_COUNTER = 0, MANSIO_METRIC_GAUGE = 1 };

typedef struct mansio_host_metrics { /* "mansio.host.metrics/1" */
  /* [init] Of create(): a metric "mansio_plugin_<name>" with the instance as label; name: [a-z0-9_]. 0 = refused: a
   * name that is none, given twice, or after create(). Rate, errors, latency and operations in flight are the host's
   * own. */
  uint32_t (*define)(const mansio_host *host, uint32_t type, const char *name, const char *help);
  void (*add)(const mansio_host *host, uint32_t metric, int64_t by);    /* [any] */
  void (*set)(const mansio_host *host, uint32_t metric, int64_t value); /* [any] of a gauge */
} mansio_host_metrics;

typedef struct mansio_host_config { /* "mansio.host.config/1" [any] */
  /* Value of a declared option in canonical text: integers and sizes in decimal, durations in nanoseconds,
   * booleans "true"/"false", lists joined by ','. Valid as long as the instance. */
  mansio_str (*get)(const mansio_host *host, const char *name);
  /* Facts of the instance: "instance" (its name), "myhostname", "self_addresses" (IP addresses that are this host,
   * joined by ','), "state_directory" (absolute; its own, kept over restarts; empty unless MANSIO_NEEDS_STATE or
   * _TAKES_STATE). Empty when there is no such fact. */
  mansio_str (*fact)(const mansio_host *host, const char *name);
} mansio_host_config;

typedef struct mansio_host_problem { /* "mansio.host.problem/1" [init] */
  /* Of check() and create(): what is wrong with the value of `option`, and what was expected, put so that it goes on
   * from the option's name: "is 99999, expected a port from 1 to 65535". An empty `option`: the options as a whole.
   * The host adds file and line. Any number of them; values of secrets have no place in them. */
  void (*report)(const mansio_host *host, mansio_str option, mansio_str text);
} mansio_host_problem;

typedef struct mansio_host_op { /* "mansio.host.op/1" [any] */
  /* Result of one recipient of a delivery, by its index there; as soon as it is known. */
  void (*rcpt)(const mansio_host *host, mansio_op op, uint32_t index, const mansio_reply *reply);
  /* The operation's last word. Recipients without a result take this status (OK included). */
  void (*complete)(const mansio_host *host, mansio_op op, const mansio_reply *reply);
  int (*alive)(const mansio_host *host, mansio_op op); /* 0 once cancelled, timed out or completed */
} mansio_host_op;

enum { MANSIO_READABLE = 1, MANSIO_WRITABLE = 2 };
typedef void (*mansio_ready_fn)(void *arg, int events);
typedef void (*mansio_timer_fn)(void *arg);

typedef struct mansio_host_reactor { /* "mansio.host.reactor/1" [loop] */
  /* One-shot: `ready` runs once, on the loop, when fd is ready for one of `events`; then watch again. At most one
   * watch an fd and direction. The fd stays the plugin's; forget() before closing it. Returns MANSIO_OK/FAIL. */
  mansio_status (*watch)(const mansio_host *host, int fd, int events, mansio_ready_fn ready, void *arg);
  void (*forget)(const mansio_host *host, int fd); /* pending callbacks will not run */
  /* One-shot timer; the handle is never 0. */
  uint64_t (*timer)(const mansio_host *host, int64_t after_ns, mansio_timer_fn fire, void *arg);
  void (*cancel_timer)(const mansio_host *host, uint64_t timer);         /* stale handles are ignored */
  void (*post)(const mansio_host *host, mansio_timer_fn run, void *arg); /* [any] run on the loop soon */
  int64_t (*now)(const mansio_host *host);                               /* [any] monotonic, as deadlines */
} mansio_host_reactor;

enum { MANSIO_DNS_A = 1, MANSIO_DNS_PTR = 12, MANSIO_DNS_MX = 15, MANSIO_DNS_TXT = 16, MANSIO_DNS_AAAA = 28 };

typedef struct mansio_dns_record {
  uint32_t size;
  uint16_t preference; /* MX */
  mansio_str data;     /* address text, host name without final dot, or text */
} mansio_dns_record;

/* status OK (n > 0), NOT_FOUND, DEFER or FAIL (not a name); `text` explains what is not OK. */
typedef void (*mansio_dns_fn)(void *arg, mansio_status status, mansio_str text, const mansio_dns_record *records,
                              size_t n, size_t stride);

typedef struct mansio_host_dns { /* "mansio.host.dns/1" [any] */
  /* Cached; `done` runs once, on the loop, never inside this call; not at all once the instance is destroyed. */
  void (*query)(const mansio_host *host, mansio_str name, uint16_t type, mansio_dns_fn done, void *arg);
} mansio_host_dns;

/* reply->status OK (values), NOT_FOUND or DEFER: three outcomes, and a table that does not exist is the third. */
typedef void (*mansio_lookup_fn)(void *arg, const mansio_reply *reply);

typedef struct mansio_host_lookup { /* "mansio.host.lookup/1" [any] */
  /* Asks a configured table by its name; cached as that table's settings say. `done` as in mansio_host_dns. */
  void (*query)(const mansio_host *host, mansio_str table, mansio_str key, mansio_lookup_fn done, void *arg);
} mansio_host_lookup;

typedef struct mansio_slice { /* a range of a readable descriptor, for sendfile() or pread() */
  uint32_t size;
  int32_t fd;
  uint64_t offset;
  uint64_t length;
} mansio_slice;

/* The message of an operation: bytes in canonical form (every line ends in CRLF, no other CR or LF, not
 * dot-stuffed), valid until the operation is complete. */
typedef struct mansio_host_message { /* "mansio.host.message/1" [any] */
  uint64_t (*length)(const mansio_host *host, mansio_op op);
  /* Copies up to n bytes from offset; returns bytes copied, 0 at the end, -1 on a read error. */
  int64_t (*read)(const mansio_host *host, mansio_op op, uint64_t offset, char *to, size_t n);
  /* Up to `max` slices that make up the message, in order; returns how many there are. */
  size_t (*slices)(const mansio_host *host, mansio_op op, mansio_slice *to, size_t max, size_t stride);
} mansio_host_message;

/* ---- plugin ----------------------------------------------------------------------------------------------------- */

enum {
  MANSIO_OPT_TEXT = 0,
  MANSIO_OPT_PATH = 1,
  MANSIO_OPT_INTEGER = 2,
  MANSIO_OPT_BOOLEAN = 3,
  MANSIO_OPT_DURATION = 4,
  MANSIO_OPT_SIZE = 5,
  MANSIO_OPT_LIST = 6
};
enum { MANSIO_OPT_REQUIRED = 1u, MANSIO_OPT_SECRET = 2u };

typedef struct mansio_option { /* no record: it never grows. The table ends with name == NULL. */
  const char *name;
  uint32_t type;
  uint32_t flags;
  const char *fallback; /* default as a user would write it; NULL = none */
  const char *help;     /* one sentence for the configuration reference */
} mansio_option;

/* What the sandbox leaves open; what is not named is refused. */
enum {
  MANSIO_NEEDS_NETWORK = 1u, /* Internet sockets and the host's DNS */
  MANSIO_NEEDS_WRITE = 2u,   /* in the file system, beyond a state directory */
  MANSIO_NEEDS_EXEC = 4u,
  MANSIO_NEEDS_STATE = 8u, /* a directory of its own: fact "state_directory" */
  /* Since 1.4. The same where the instance has a process of its own. In the processes that ask it, and with an older
   * host, it runs without: the fact is empty. */
  MANSIO_TAKES_STATE = 16u
};

/* How start() is called. MANSIO_LOOP: on the loop, one call at a time; it must not block, and answers at once or later.
 * MANSIO_BLOCKING: on threads of the host's pool, up to max_concurrency of them at once for an instance, where it may
 * block; for client libraries that know no other way. */
enum { MANSIO_LOOP = 0, MANSIO_BLOCKING = 1 };

typedef struct mansio_plugin {
  uint32_t size;
  uint32_t abi_minor;       /* the lowest 1.x that has all it needs: 0 unless it uses what a later one brought */
  uint32_t draft_build;     /* MANSIO_DRAFT_BUILD when it uses mansio/draft/: only that build loads it; 0 = none */
  uint32_t needs;           /* MANSIO_NEEDS_*: what the sandbox must leave open */
  uint32_t threading;       /* MANSIO_LOOP or MANSIO_BLOCKING */
  uint32_t max_concurrency; /* of an instance, for MANSIO_BLOCKING; 0 = as the host likes. Configuration may lower it */
  const char *name;         /* "transport-maildir" */
  const char *version;      /* its own */
  const char *const *kinds; /* ids of get() below, ends with NULL: {"mansio.lookup/1", NULL} */
  const mansio_option *options;                                  /* NULL = none */
  mansio_status (*create)(const mansio_host *host, void **self); /* [init] on failure: report problems, or log why */
  void (*destroy)(void *self);                                   /* [loop] no operation is under way, no call runs */
  const void *(*get)(void *self, const char *iface);             /* [init] vtable of a kind, or NULL */
  /* [init] Judges the values of the options, whose types the host has checked, and reports every problem; what it lets
   * pass, create() takes. Runs when a configuration is checked and before each start and reload, in a process that may
   * be nobody's and have no network: it starts nothing, changes nothing, and leaves a file that it may not read to
   * create(). The host offers log, config and problem. NULL: all values are fine. */
  void (*check)(const mansio_host *host);
} mansio_plugin;

MANSIO_EXPORT const mansio_plugin *mansio_plugin_entry_1(void); /* the one exported symbol */

/* ---- kind: lookup ----------------------------------------------------------------------------------------------- */

typedef struct mansio_lookup_request {
  uint32_t size;
  uint32_t flags;   /* none yet */
  mansio_str table; /* the name of the configured table that this instance serves */
  mansio_str key;
  int64_t deadline; /* monotonic */
} mansio_lookup_request;

/* Answers: OK with at least one value; NOT_FOUND; anything else is "try later" (DEFER, with a reason in `text`): a
 * server that is down must never look like a key that does not exist. */
typedef struct mansio_lookup {                                                   /* "mansio.lookup/1" */
  void (*start)(void *self, mansio_op op, const mansio_lookup_request *request); /* [loop], [pool] when BLOCKING */
  void (*cancel)(void *self, mansio_op op);                                      /* [loop] may be NULL */
} mansio_lookup;

/* ---- kind: transport -------------------------------------------------------------------------------------------- */

enum { MANSIO_NOTIFY_NEVER = 1, MANSIO_NOTIFY_SUCCESS = 2, MANSIO_NOTIFY_FAILURE = 4, MANSIO_NOTIFY_DELAY = 8 };
enum { MANSIO_RET_NONE = 0, MANSIO_RET_FULL = 1, MANSIO_RET_HDRS = 2 };
enum { MANSIO_ORIGIN_UNKNOWN = 0, MANSIO_ORIGIN_LOCAL = 1, MANSIO_ORIGIN_REMOTE = 2 }; /* since 1.1 */

typedef struct mansio_recipient {
  uint32_t size;
  uint8_t notify; /* RFC 3461, 0 = not given */
  mansio_str address;
  mansio_str original; /* as the client gave it; empty when the same */
  mansio_str orcpt;    /* "rfc822;user@example.com", decoded; empty when not given */
} mansio_recipient;

enum {
  MANSIO_MSG_EIGHT_BIT = 1u,        /* some octet above 127 */
  MANSIO_MSG_EIGHT_BIT_HEADER = 2u, /* ... in the header section */
  MANSIO_MSG_LEADING_DOTS = 4u,     /* some line begins with a dot: DATA needs stuffing */
  MANSIO_MSG_SMTPUTF8 = 8u,         /* the client asked for SMTPUTF8 (RFC 6531) */
  MANSIO_MSG_REQUIRETLS = 16u,
  MANSIO_MSG_BODY_8BITMIME = 32u, /* the client declared BODY=8BITMIME */
  MANSIO_MSG_POSSIBLE_DUPLICATE = 64u
};

typedef struct mansio_delivery { /* a lease: the queue still owns the message */
  uint32_t size;
  uint32_t flags; /* MANSIO_MSG_* */
  mansio_str queue_id;
  mansio_str sender;  /* empty = null sender */
  mansio_str nexthop; /* of the route; empty = the recipients' domain (they all share it) */
  const mansio_recipient *recipients;
  size_t n_recipients;
  size_t recipient_stride;
  uint64_t length;   /* bytes of the message */
  uint32_t ret;      /* RFC 3461: MANSIO_RET_* */
  uint32_t reserved; /* 0 */
  mansio_str envid;  /* RFC 3461, decoded; empty = not given */
  mansio_str client_address, client_name, client_helo;
  mansio_str source_pool;
  mansio_str tls_policy; /* what the message's metadata of that name asks for, in the transport's own words; empty =
                            the transport's options decide */
  const mansio_pair *metadata; /* what policies and filters noted about the message */
  size_t n_metadata;
  int64_t arrival;  /* wall */
  int64_t deadline; /* monotonic */
  /* Since 1.1. Who brought the message into the mail system: the client, unless a content filter or a server before us
   * has told of another (XFORWARD). For logs, and to be passed on. Empty or 0 = not known. */
  uint32_t origin_source; /* MANSIO_ORIGIN_*; UNKNOWN: the host is older, and the rest says nothing */
  uint32_t origin_port;
  mansio_str origin_address, origin_name, origin_helo, origin_protocol;
  mansio_str origin_ident; /* the message's id there; ours if it came from no other */
  uint32_t attempts;       /* since 1.2: made before this one; 0 as well if the host is older */
  uint32_t reserved_2;     /* 0 */
  /* Since 1.3. Of the client's AUTH (RFC 4954), from which we had the message: by which mechanism and as whom it has
   * authenticated, and the original submitter that it named in MAIL (AUTH=). Empty: there was none of it. */
  mansio_str sasl_method, sasl_username, sasl_sender;
} mansio_delivery;

typedef struct mansio_transport {                                           /* "mansio.transport/1" */
  void (*start)(void *self, mansio_op op, const mansio_delivery *delivery); /* [loop], [pool] when BLOCKING */
  void (*cancel)(void *self, mansio_op op);                                 /* [loop] may be NULL */
} mansio_transport;

#ifdef __cplusplus
}
#endif
#endif
