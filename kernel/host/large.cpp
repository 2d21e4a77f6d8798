#include "kernel/host/large.hpp"

#include <utility>

#include "kernel/process/memfd.hpp"

namespace mansio::host {

bool send_any(io::Channel &channel, std::uint16_t type, std::string payload, std::vector<io::UniqueFd> fds) {
  if (payload.size() <= io::kMaxMessage) return channel.send_raw(type, payload, std::move(fds));
  auto content = process::sealed_memfd("message", payload);
  if (!content) return false;
  fds.insert(fds.begin(), std::move(*content));
  return channel.send(wire::Large{type, payload.size()}, std::move(fds));
}

std::optional<Received> received(io::Message &m) {
  if (m.type != wire::Large::kType) return Received{m.type, m.payload, {}};
  const auto large = decode<wire::Large>(m.payload);
  if (!large || m.fds.empty()) return std::nullopt;
  auto payload = process::read_exactly(m.fds.front(), large->size);
  m.fds.erase(m.fds.begin());
  if (!payload) return std::nullopt;
  return Received{large->type, {}, std::move(*payload)};
}

}  // namespace mansio::host
