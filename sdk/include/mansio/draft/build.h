/*
 * Kinds and host services that are not frozen: their ids end in "~draft" and stay what they are when they freeze, but
 * for that ending. A plugin that includes anything of mansio/draft/ sets mansio_plugin.draft_build to
 * MANSIO_DRAFT_BUILD, and loads only where the host has the same number. The rules of mansio/abi.h hold here too.
 */
#ifndef MANSIO_DRAFT_BUILD_H
#define MANSIO_DRAFT_BUILD_H

#include "mansio/abi.h"

#define MANSIO_DRAFT_BUILD 6u /* grows with every change in mansio/draft/ */

#endif
