// Messages of any size over a channel, whose frames end at 64 KiB: what is larger goes as a sealed memfd.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/io/channel.hpp"
#include "kernel/wire/filter_messages.hpp"

namespace mansio::host {

bool send_any(io::Channel &channel, std::uint16_t type, std::string payload, std::vector<io::UniqueFd> fds);

template <class M>
bool send_any(io::Channel &channel, const M &message, std::vector<io::UniqueFd> fds = {}) {
  return send_any(channel, M::kType, encode(message), std::move(fds));
}

// What arrived, taken out of `m` when it is Large; nothing when that cannot be read.
struct Received {
  std::uint16_t type;
  std::string_view frame;  // borrowed
  std::string kept;        // of a Large one
  std::string_view payload() const { return kept.empty() ? frame : std::string_view{kept}; }
};
std::optional<Received> received(io::Message &m);

}  // namespace mansio::host
