/* All drafts: kinds filter, policy, rate, auth, store, event, and the services they need. See draft/build.h. */
#ifndef MANSIO_DRAFT_H
#define MANSIO_DRAFT_H

#include "mansio/draft/auth.h"
#include "mansio/draft/event.h"
#include "mansio/draft/filter.h"
#include "mansio/draft/rate.h"
#include "mansio/draft/services.h"
#include "mansio/draft/store.h"

#endif
