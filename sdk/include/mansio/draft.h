/* All drafts: kinds filter, policy, rate, auth, store, event, and the services they need. See draft/build.h. */
#ifndef MANSIO_DRAFT_H
#define MANSIO_DRAFT_H

#include "draft/auth.h"
#include "draft/event.h"
#include "draft/filter.h"
#include "draft/rate.h"
#include "draft/services.h"
#include "draft/store.h"

#endif
