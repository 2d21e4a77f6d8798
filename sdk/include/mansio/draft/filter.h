/*
 * Draft kinds that watch a session: filter ("mansio.filter/1~draft") and policy ("mansio.policy/1~draft"). A policy is
 * a filter that edits nothing: its reply is its verdict. Several of them see a stage in the order of the configuration,
 * policies first; the first that does not answer OK or SKIP decides. Commands that Mansio itself refuses are not shown.
 *
 * The stages of the content, from HEADER on, come when all of it is here: first all of one plugin, then all of the
 * next, which sees what the ones before it changed.
 *
 * Replies: OK (edits and metadata count), SKIP (they are dropped), DEFER (4xx), FAIL (5xx); smtp_code, enhanced and
 * text are the reply to the client, where the stage has one; 421 and 521 end the session. Any other status, and none in
 * time, is a failure of the plugin: on_failure of the configuration decides, and it is asked no more about that
 * message.
 *
 * Of a session that is recorded ("record" of a listener) the fact "recorded" is "true". A reply's values may then be what
 * the plugin was told meanwhile by tables, the DNS and others, in a form of its own: they go into the recording, so that
 * it can be asked again without them. At most 1000, of 128 KiB together; more are left out.
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
       MANSIO_STAGE_HEADER = 7,          /* [name, value as it stands there, folded, without the final line end] */
       MANSIO_STAGE_END_OF_HEADERS = 8,  /* RFC 5322's empty line */
       MANSIO_STAGE_BODY = 9,            /* [chunk]; canonical: lines end in CRLF, dots are not stuffed */
       MANSIO_STAGE_END_OF_MESSAGE = 10, /* the message service works, here alone; edits */
       MANSIO_STAGE_DISCONNECT = 11      /* no reply is heard */
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
   * metadata); from MAIL on "sender", "recipient_count" (at RCPT without the one that is asked about). */
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
