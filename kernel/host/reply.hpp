// A plugin's reply as an outcome the kernel can trust: sizes bounded, no control characters, an enhanced code whose
// class agrees with the status.
#pragma once

#include "kernel/wire/queue_messages.hpp"
#include "mansio/abi.h"

namespace mansio::host {

struct Answer {
  wire::RecipientOutcome outcome;
  bool site_failure = false;
  std::string destination;  // where a connection stays open; "" = nowhere
};
Answer read_reply(const mansio_reply *reply);

wire::DeliveryStatus delivery_status(mansio_status status);

}  // namespace mansio::host
