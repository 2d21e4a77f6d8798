// A plugin's reply as an outcome the kernel can trust: sizes bounded, no control characters, an enhanced code whose
// class agrees with the status.
#pragma once

#include <string>
#include <vector>

#include "kernel/io/tables.hpp"
#include "kernel/wire/queue_messages.hpp"
#include "mansio/abi.h"

namespace mansio::host {

struct Answer {
  mansio_status status = MANSIO_INTERNAL;
  std::vector<std::string> values;  // of a lookup
  Nanos ttl = 0, retry = 0;
  wire::RecipientOutcome outcome;
  bool site_failure = false;
  std::string destination;  // where a connection stays open; "" = nowhere
};
Answer read_reply(const mansio_reply *reply);

// Takes the values out of `answer`. OK without a value is no answer that a lookup can give.
io::TableAnswer table_answer(Answer &&answer);

wire::DeliveryStatus delivery_status(mansio_status status);

}  // namespace mansio::host
