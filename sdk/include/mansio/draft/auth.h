/*
 * Draft kind auth ("mansio.auth/1~draft"): SASL (RFC 4422) for a listener. An exchange is a number of the host's; each
 * step is an operation. The host sends one step of an exchange at a time, and the next only after SKIP; any other
 * answer, and none in time, ends the exchange.
 *
 * Nobody is let in but by OK. FAIL is heard as 535; DEFER, BUSY, any other status and none in time as 454, whatever
 * on_failure is. What a plugin knows of an exchange is lost when its process ends; its next step then fails without the
 * plugin.
 */
#ifndef MANSIO_DRAFT_AUTH_H
#define MANSIO_DRAFT_AUTH_H

#include "mansio/draft/build.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mansio_auth_step {
  uint32_t size;
  uint32_t step;        /* 0: the first */
  uint64_t exchange;    /* from the first step to its end */
  mansio_str mechanism; /* "PLAIN", in capitals; one of those that are offered */
  mansio_str response;  /* decoded from base64; its p is NULL when a first step has none */
  mansio_str client_address, client_helo;
  mansio_str tls;   /* "TLSv1.3"; empty = clear */
  int64_t deadline; /* monotonic */
} mansio_auth_step;

typedef struct mansio_auth {
  /* Mechanisms it offers, separated by blanks; clear: without TLS. Asked once, after create(); the text lives as long
   * as the instance. */
  mansio_str (*mechanisms)(void *self, int clear); /* [init] */
  /* Reply SKIP: values[0] is the next challenge (none: an empty one). OK: values[0] is the user, values[1], if there,
   * the identity it acts for: text without control characters, at most 255 octets. FAIL: wrong credentials. DEFER: ask
   * again later. `text` is for the log; the client does not hear it. */
  void (*start)(void *self, mansio_op op, const mansio_auth_step *step); /* [loop], [pool] when BLOCKING */
  void (*cancel)(void *self, mansio_op op);                              /* [loop] may be NULL */
  /* The exchange is given up between two steps; one that a step has ended is not told of. */
  void (*forget)(void *self, uint64_t exchange); /* [loop] may be NULL */
} mansio_auth;

#ifdef __cplusplus
}
#endif
#endif
