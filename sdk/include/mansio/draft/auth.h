/*
 * Draft kind auth ("mansio.auth/1~draft"): SASL (RFC 4422) for a listener. An exchange is a number of the host's; each
 * step is an operation.
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
  mansio_str mechanism; /* "PLAIN" */
  mansio_str response;  /* decoded from base64; a first step may have none */
  mansio_str client_address, client_helo;
  mansio_str tls;   /* empty = clear */
  int64_t deadline; /* monotonic */
} mansio_auth_step;

typedef struct mansio_auth {
  /* Mechanisms it offers, separated by blanks; clear: without TLS. */
  mansio_str (*mechanisms)(void *self, int clear); /* [loop] */
  /* Reply SKIP: values[0] is the next challenge. OK: values[0] is the user, values[1], if there, the identity it acts
   * for. FAIL: wrong credentials. DEFER: ask again later. */
  void (*start)(void *self, mansio_op op, const mansio_auth_step *step); /* [loop], [pool] when BLOCKING */
  void (*cancel)(void *self, mansio_op op);                              /* [loop] may be NULL */
  void (*forget)(void *self, uint64_t exchange);                         /* [loop] given up; may be NULL */
} mansio_auth;

#ifdef __cplusplus
}
#endif
#endif
