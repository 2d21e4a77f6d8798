/*
 * Draft kinds that watch a session: filter ("mansio.filter/1~draft") and policy ("mansio.policy/1~draft"). A policy is
 * a filter that edits nothing: its reply is its verdict. Several of them see a stage in the order of the configuration,
 * policies first; the first that does not answer OK or SKIP decides. Commands that Mansio itself refuses are not shown.
 *
 * The stages of the content, from HEADER on, come when all of it is here: first all of one plugin, then all of the
 * next, which sees what the ones before it changed. Where one gave some of the recipients a version of their own, those
 * behind it see these stages once for the message and once for each version, with a queue id of its own each: what they
 * then edit, hold, discard, redirect or note is that version's, a refusal refuses all, and no address that has one
 * version is added to another.
 *
 * Replies: OK (edits and metadata count), SKIP (they are dropped), DEFER (4xx), FAIL (5xx); smtp_code, enhanced and
 * text are the reply to the client, where the stage has one; 421 and 521 end the session. Any other status, and none in
 * time, is a failure of the plugin: on_failure of the configuration decides, and it is asked no more about that
 * message.
 *
 * Of a session that is recorded ("record" of a listener) the fact "recorded" is "true". A reply's values may then be
 * what the plugin was told meanwhile by tables, the DNS and others, in a form of its own: they go into the recording,
 * so that it can be asked again without them. At most 1000, of 128 KiB together; more are left out.
 *
 * A policy that [queue] policies names has a say in what the queue does, too: the stages from ROUTE on. Several are
 * asked in the order of the configuration, and the first that decides something has decided: DEFER, FAIL, or OK after
 * an edit that the stage allows (hold, discard, route, set_source_pool, redirect). OK without one, and SKIP, leave it
 * to the next and in the end to the configuration. Each of them is about one message in the queue, whose `queue_id` it
 * has; there is no session. The message itself cannot be read; its metadata can. A policy that fails is as if
 * on_failure had decided: "defer", "hold", or "skip" for as if it were not there; RETRY takes "defer" as "skip", and
 * BOUNCE "hold" as "defer". They run in a process of their own, always.
 *
 * State that a plugin keeps by session or message is lost when its process ends: a message that it had seen a part of
 * then counts as failed, and a session may begin for it in the middle. Facts of the session come with every stage.
 */
#ifndef MANSIO_DRAFT_FILTER_H
#define MANSIO_DRAFT_FILTER_H

#include "mansio/draft/services.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {                            /* in the order of a session; arguments in brackets */
       MANSIO_STAGE_CONNECT = 0,  /* [client address, client name or "unknown", port] */
       MANSIO_STAGE_HELO = 1,     /* [name] */
       MANSIO_STAGE_STARTTLS = 2, /* before the handshake */
       MANSIO_STAGE_AUTH = 3,     /* [mechanism, user] */
       MANSIO_STAGE_MAIL = 4,     /* [address, parameters...] */
       MANSIO_STAGE_RCPT = 5,     /* [address, parameters...] */
       MANSIO_STAGE_DATA = 6,
       MANSIO_STAGE_HEADER = 7,         /* [name, value as it stands there, folded, without the final line end] */
       MANSIO_STAGE_END_OF_HEADERS = 8, /* RFC 5322's empty line */
       MANSIO_STAGE_BODY = 9,           /* [chunk]; canonical: lines end in CRLF, dots are not stuffed */
       /* [recipient...] each once, as RCPT or another filter named it; the message service works, here alone; edits */
       MANSIO_STAGE_END_OF_MESSAGE = 10,
       MANSIO_STAGE_DISCONNECT = 11, /* no reply is heard */
       /* Of the queue, and for policies alone. */
       /* [recipient] Where it goes, before its first attempt and whenever it is routed again: "transport" and "nexthop"
        * are what the configuration says, and what it refuses is not asked about. OK after route(), set_source_pool(),
        * hold() or discard(); DEFER: asked again, after retry_ns if that is not 0; FAIL: returned to the sender. */
       MANSIO_STAGE_ROUTE = 12,
       /* [recipient...] May this delivery begin? OK: yes. DEFER: not now, but after retry_ns, or the back-off if that
        * is 0. FAIL: never, its recipients are returned. OK after hold(), discard(), or route() or set_source_pool():
        * another way, which is asked about anew. A message that an operator has released is not asked about. */
       MANSIO_STAGE_PRE_DELIVERY = 13,
       /* [recipient, SMTP code or "", enhanced code or "", text, ...] These were deferred, and wait for "retry_after"
        * seconds. DEFER: retry_ns instead, if that is not 0. FAIL: given up, and returned. OK after hold(). */
       MANSIO_STAGE_RETRY = 14,
       /* [recipient, SMTP code or "", enhanced code or "", text, ...] A notification about these is about to be
        * written: "kind" is "failure", "delay", "success", or, for the postmaster, "postmaster_copy" or
        * "postmaster_delay"; "to" who gets it. OK after discard(): it is not; after redirect(): somebody else gets it.
        * DEFER: asked again in a minute. FAIL is a fault. */
       MANSIO_STAGE_BOUNCE = 15
};

typedef struct mansio_stage {
  uint32_t size;
  uint32_t stage;      /* MANSIO_STAGE_* */
  mansio_str session;  /* id of the session */
  mansio_str queue_id; /* empty while there is no message */
  const mansio_str *arguments;
  size_t n_arguments;
  /* Facts of session and message, those that are known: "client_address", "client_name", "client_port",
   * "client_trusted" ("true": in mynetworks), "helo_name", "protocol", "listener", "myhostname", "tls_version",
   * "tls_cipher", "auth_user", "recorded", "tenant" (of the listener; what plugins note of a message is in its
   * metadata), "stress" ("true": the listener has hardly any room for clients); from MAIL on "sender",
   * "recipient_count" (at RCPT without the one that is asked about). Of the queue: "sender", "client_address",
   * "client_name", "helo_name", "protocol", "listener", "auth_user", "tenant" (of the message), "campaign", "priority",
   * "size" (octets), "arrival" (seconds since 1970), "attempts" (made before), "transport", "nexthop" (these three not
   * at BOUNCE), "source_pool", "myhostname", and what the stage names. */
  const mansio_pair *macros;
  size_t n_macros;
  uint64_t length;  /* of the message, at its end */
  int64_t deadline; /* monotonic; see mansio.host.progress */
} mansio_stage;

typedef struct mansio_filter {
  uint64_t (*stages)(void *self);                                     /* [init] bit 1 << stage: what it wants to see */
  void (*start)(void *self, mansio_op op, const mansio_stage *stage); /* [loop], [pool] when BLOCKING */
  void (*cancel)(void *self, mansio_op op);                           /* [loop] may be NULL */
  /* [loop] The message of that session, of which it has seen a stage, comes to nothing: RSET, lost client, refused by
   * somebody else, not stored. May be NULL. */
  void (*abort)(void *self, mansio_str session, mansio_str queue_id);
} mansio_filter;
typedef mansio_filter mansio_policy;

#ifdef __cplusplus
}
#endif
#endif
