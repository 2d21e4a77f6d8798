/*
 * Draft host services: what a filter, policy or script does to a session and a message; and for plugins of every kind
 * mail of their own, permits, commands, and what all processes of an instance count together.
 */
#ifndef MANSIO_DRAFT_SERVICES_H
#define MANSIO_DRAFT_SERVICES_H

#include "mansio/draft/build.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Metadata: names and values that travel with a session or a message, and with the message into the spool. Names:
 * [a-z0-9._-], up to 64 bytes; values up to 4 KiB, an empty one removes the name. What is set counts when the operation
 * completes with OK. A message's names that Mansio acts on: "tenant", "campaign", "source_pool" and "priority" (-9 to
 * 9, RFC 6710); those that begin with "mansio." are its own and cannot be set. */
typedef struct mansio_host_meta { /* "mansio.host.meta/1~draft" [any] */
  /* Up to n bytes of the value, as it was when the operation began; returns its whole length, -1 when there is none. */
  int64_t (*session)(const mansio_host *host, mansio_op op, mansio_str name, char *to, size_t n);
  int64_t (*message)(const mansio_host *host, mansio_op op, mansio_str name, char *to, size_t n);
  mansio_status (*set_session)(const mansio_host *host, mansio_op op, mansio_str name, mansio_str value);
  mansio_status (*set_message)(const mansio_host *host, mansio_op op, mansio_str name, mansio_str value);
} mansio_host_meta;

/* Edits of the message of an operation: a journal, applied in order and as a whole when the operation completes with
 * OK, and dropped otherwise. Each returns OK, UNSUPPORTED (not at this stage, or not by this kind) or FAIL (stale,
 * malformed, or more than may be held). hold(), discard() and redirect() work from MAIL on, for filters and policies;
 * route() and set_source_pool() are a policy's at stages of the queue, as are those three where mansio/draft/filter.h
 * says so; all others are a filter's at the end of the message. A header value is what follows "Name:", folded or not,
 * without a final line end; no line of it is longer than 998 bytes. Line ends are made canonical: a bare LF becomes
 * CRLF, a bare CR a space.
 * `version` 0 is the message of all recipients who have no other. version() gives some of them one: it begins as what
 * the edits so far have made of version 0, and from then on edits of either are not the other's. Sender, recipients,
 * hold(), discard() and redirect() are those of all versions. A version whose edits are in the end those of another one
 * is no version. From the next filter on each is a message of its own, which that one sees as such, and becomes one in
 * the queue; all of them are there when the client hears 250, or none is. A message has at most 100 besides version 0.
 */
typedef struct mansio_host_edit { /* "mansio.host.edit/1~draft" [any] */
  mansio_status (*add_header)(const mansio_host *host, mansio_op op, uint32_t version, mansio_str name,
                              mansio_str value);
  /* Before the header field that is `position`th of all, from 0. */
  mansio_status (*insert_header)(const mansio_host *host, mansio_op op, uint32_t version, uint32_t position,
                                 mansio_str name, mansio_str value);
  /* The `nth` field of that name, from 1; added when there is none. */
  mansio_status (*change_header)(const mansio_host *host, mansio_op op, uint32_t version, mansio_str name, uint32_t nth,
                                 mansio_str value);
  mansio_status (*delete_header)(const mansio_host *host, mansio_op op, uint32_t version, mansio_str name,
                                 uint32_t nth);
  mansio_status (*set_sender)(const mansio_host *host, mansio_op op, mansio_str address);
  mansio_status (*add_recipient)(const mansio_host *host, mansio_op op, mansio_str address);
  mansio_status (*delete_recipient)(const mansio_host *host, mansio_op op, mansio_str address);
  /* Appends to the new body; the first call begins one. */
  mansio_status (*replace_body)(const mansio_host *host, mansio_op op, uint32_t version, mansio_str chunk);
  mansio_status (*hold)(const mansio_host *host, mansio_op op, mansio_str reason); /* accepted, kept back: quarantine */
  mansio_status (*discard)(const mansio_host *host, mansio_op op, mansio_str reason); /* accepted, and then forgotten */
  /* A version for these recipients; returns its number. 0: not at this stage, or not by this kind; there are none, or
   * somebody among them is no recipient (as the stage's arguments name them, or as edits have added them), or has one
   * already; or there are too many. */
  uint32_t (*version)(const mansio_host *host, mansio_op op, const mansio_str *recipients, size_t n);
  /* To this address and to nobody else, those included that have not been named yet. It takes their place when the
   * content is complete, before anybody sees it, or with the other edits; what filters after this one do to the
   * recipients, they do to it. At BOUNCE: who gets the notification instead. */
  mansio_status (*redirect)(const mansio_host *host, mansio_op op, mansio_str address);
  /* The name of a [transport.NAME], or empty for the one that it has, and a next hop; without one, the recipient's
   * domain where a transport is given, else the one that it has. */
  mansio_status (*route)(const mansio_host *host, mansio_op op, mansio_str transport, mansio_str nexthop);
  mansio_status (*set_source_pool)(const mansio_host *host, mansio_op op, mansio_str pool); /* it leaves from */
} mansio_host_edit;

typedef struct mansio_host_progress {                      /* "mansio.host.progress/1~draft" [any] */
  void (*progress)(const mansio_host *host, mansio_op op); /* still at it: the time limit begins anew, up to a limit */
} mansio_host_progress;

/* Numbers that all processes of an instance share, and that are there as long as Mansio runs: a reload, the death of a
 * process and another place for the plugin change nothing. They belong to the name of the instance in the
 * configuration. Nothing here waits. Names: 1 to 128 bytes. Keys: any bytes, any number of them; a keyed hash of 64
 * bits is what is kept.
 *
 * The memory is fixed. An instance has 10,000 counters, which stay, and 983,040 keys of windows and rates together (of
 * the seventeenth instance that counts on, room is shared). Where there is no room for a new key it takes the place of
 * the one, of fifteen, that was counted the fewest times: a flood of new keys pushes out itself. */
typedef struct mansio_host_numbers { /* "mansio.host.numbers/1~draft" [any] */
  /* Adds to a counter; `*value` is what it is then. FAIL: a bad name, or there are too many. */
  mansio_status (*add)(const mansio_host *host, mansio_str name, int64_t n, int64_t *value);
  int64_t (*read)(const mansio_host *host, mansio_str name); /* 0: nobody has added to it */
  /* A sliding window of this length, 1 ns to a hundred years; of one name there may be several, which have nothing to
   * do with each other. Adds `n`; `*count` is what there was within the length then, that included: of the period
   * before, as much as would be left of it were it spread evenly. No two callers are told of the same n. Up to 2^40 - 1
   * are counted in a length. FAIL: a bad name or length. DEFER: it could not be counted now (somebody stands still who
   * was about to count); `*count` is n. */
  mansio_status (*window_add)(const mansio_host *host, mansio_str name, int64_t length_ns, mansio_str key, uint64_t n,
                              double *count);
  double (*window_count)(const mansio_host *host, mansio_str name, int64_t length_ns, mansio_str key);
  /* A token bucket for each key: one token each `interval_ns`, room for `burst`; their product is a hundred years at
   * most. Others of the same name have nothing to do with it. OK: `n`, at most `burst`, are taken, or could not be
   * counted now. DEFER: there are not so many, none is taken, and `*wait_ns` is how long it takes until there are.
   * FAIL: a bad name, rate or n. */
  mansio_status (*take)(const mansio_host *host, mansio_str name, int64_t interval_ns, int64_t burst, mansio_str key,
                        int64_t n, int64_t *wait_ns);
  int64_t (*available)(const mansio_host *host, mansio_str name, int64_t interval_ns, int64_t burst, mansio_str key);
} mansio_host_numbers;

/* A message of the plugin's own. It goes its way by the routes and aliases that other mail goes by, as one made here:
 * no listener's filters, policies or access tables see it. Sender and recipients are "local-part@domain"; with one
 * recipient that cannot be reached the whole message is refused. Limits are those of [smtpd] (message_size_limit,
 * header_size_limit, line_length_limit, recipient_limit), and it is refused with hopcount_limit or more Received
 * fields: who submits what he was shown keeps these. Metadata as mansio_host_meta sets it of a message; "priority" is
 * not bounded by who asks. */
typedef struct mansio_submission {
  uint32_t size;
  uint32_t flags;    /* MANSIO_MSG_SMTPUTF8, MANSIO_MSG_BODY_8BITMIME */
  mansio_str sender; /* empty = null sender */
  const mansio_str *recipients;
  size_t n_recipients;
  mansio_str content; /* whole message; line ends are made canonical */
  const mansio_pair *metadata;
  size_t n_metadata;
} mansio_submission;

/* OK: on stable storage, `text` is the queue id. DEFER: not taken, try later; `text` says why: new mail is not welcome
 * now (as clients would hear), too much is being submitted, or a process that had it ended, in which case it may have
 * been taken all the same. FAIL: refused for good. Runs once, later, on the loop; not after destroy() began. */
typedef void (*mansio_submit_fn)(void *arg, mansio_status status, mansio_str text);

typedef struct mansio_host_submit { /* "mansio.host.submit/1~draft" [any] */
  /* All of it is copied before this returns. */
  void (*submit)(const mansio_host *host, const mansio_submission *mail, mansio_submit_fn done, void *arg);
} mansio_host_submit;

/* `granted` of `want` may go now; when 0, not before `retry_ns` from now, -1: there is no such limit. Runs once, later,
 * on the loop; not after destroy() began. */
typedef void (*mansio_rate_fn)(void *arg, uint32_t granted, int64_t retry_ns);

typedef struct mansio_host_rate { /* "mansio.host.rate/1~draft" [any] */
  /* Permits of a [[rate_limit]], for something that is to count as deliveries do: those of mail and these come out of
   * one bucket, which all processes have together. `limit`: "tenant_rate_limit", "campaign_rate_limit",
   * "sender_rate_limit" or "source_pool_rate_limit"; `key`: whose. Where a plugin of kind rate owns it, that one's
   * permits. Where no table limits the key, all of `want` (from 1 to 10000) is granted. What is granted is used: there
   * is no giving back. While the queue process is away, nothing is granted. */
  void (*take)(const mansio_host *host, mansio_str limit, mansio_str key, uint32_t want, mansio_rate_fn done,
               void *arg);
} mansio_host_rate;

/* [loop] `arguments` of the command line, borrowed; answer with op service's complete(), then or later, from any
 * thread: OK, or anything else for "failed", `text`, and `values` a line each. At the deadline, 20 s, it has failed; no
 * cancel() is called for it. Runs on the loop whatever the plugin's threading is. */
typedef void (*mansio_command_fn)(void *arg, mansio_op op, const mansio_str *arguments, size_t n);

typedef struct mansio_host_control { /* "mansio.host.control/1~draft" [init] */
  /* `mansio plugin call INSTANCE NAME ARGUMENT...`, which root, the user that Mansio runs as and its group may say. It
   * runs in every process that has the instance: of a plugin in a process of its own that is one. OK, or FAIL: not in
   * create(), there is such a command already, or it is no name ([a-z0-9_-], up to 64 bytes, the first one no dash; up
   * to 100 of them). The help is for those who ask for a command that is not there. */
  mansio_status (*command)(const mansio_host *host, const char *name, const char *help, mansio_command_fn run,
                           void *arg);
} mansio_host_control;

#ifdef __cplusplus
}
#endif
#endif
