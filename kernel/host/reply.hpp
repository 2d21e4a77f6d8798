// What a plugin says and is told. Its reply becomes an outcome the kernel can trust: sizes bounded, no control
// characters, an enhanced code whose class agrees with the status.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernel/io/tables.hpp"
#include "kernel/wire/queue_messages.hpp"
#include "mansio/abi.h"

namespace mansio::host {

// Text both ways, borrowed.
inline mansio_str str(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view view(mansio_str s) { return s.n && s.p ? std::string_view{s.p, s.n} : std::string_view{}; }

struct Answer {
  mansio_status status = MANSIO_INTERNAL;
  std::vector<std::string> values;  // of a lookup
  Nanos ttl = 0, retry = 0;
  wire::RecipientOutcome outcome;
  bool site_failure = false;
  std::string destination;  // where a connection stays open; "" = nowhere
  bool cut_short = false;   // there was no whole reply, so it says nothing: its zeros are not OK
};
Answer read_reply(const mansio_reply *reply);

// The same rules for what comes from a process of a plugin's own, whose memory anything may have happened to.
void make_safe(wire::RecipientOutcome &outcome);
std::string safe_name(std::string_view name);           // of a host or destination
std::string safe_text(std::string_view text);           // a reason
bool too_much(const std::vector<std::string> &values);  // for an answer

Answer plugin_failure(std::string why);  // in the place of one that does not come

// Takes the values out of `answer`. OK without a value is no answer that a lookup can give.
io::TableAnswer table_answer(Answer &&answer);

wire::DeliveryStatus delivery_status(mansio_status status);

}  // namespace mansio::host
