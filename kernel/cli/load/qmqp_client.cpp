#include "kernel/cli/load/qmqp_client.hpp"

#include <fmt/format.h>

#include "kernel/mail/netstring.hpp"

namespace mansio::cli::load {
namespace {

constexpr std::uint64_t kLongestReply = 64 * 1024;

}  // namespace

Task<bool> QmqpClient::open() { co_return co_await connection_.connect(options_.target, options_.connect); }

Task<Outcome> QmqpClient::send(const OutgoingMessage &message) {
  used_ = true;
  std::string envelope;
  append_netstring(envelope, message.sender);
  for (const auto &recipient : message.recipients) append_netstring(envelope, recipient);
  const auto size = message.header.size() + message.body.size();
  const auto inner = fmt::format("{}:", size);
  const auto outer = fmt::format("{}:", inner.size() + size + 1 + envelope.size());
  const std::vector<std::string_view> pieces{outer, inner, message.header, message.body, ",", envelope, ","};
  // A server that refuses before it has read everything has said why, even when it does not take the rest.
  (void)co_await connection_.write(pieces);
  auto outcome = co_await reply(static_cast<std::uint32_t>(message.recipients.size()));
  connection_.close();
  co_return outcome;
}

Task<Outcome> QmqpClient::reply(std::uint32_t recipients) {
  Outcome outcome;
  std::string text;
  auto found = take_netstring(text, kLongestReply);
  while (found.state == Netstring::State::More) {
    const auto bytes = co_await connection_.read_some();
    if (!bytes) {
      outcome.reason = connection_.error();
      co_return outcome;
    }
    text.append(*bytes);
    found = take_netstring(text, kLongestReply);
  }
  const char said = found.state == Netstring::State::Complete && !found.bytes.empty() ? found.bytes.front() : '?';
  outcome.reason = text.substr(0, 500);
  if (said == 'K') {
    outcome = {Outcome::Accepted, recipients, {}};
  } else if (said == 'Z' || said == 'D') {
    outcome.kind = said == 'Z' ? Outcome::Temporary : Outcome::Permanent;
    outcome.reason = found.bytes;
  } else {
    outcome.reason = "malformed reply";
  }
  co_return outcome;
}

Task<> QmqpClient::quit() {
  connection_.close();
  co_return;
}

}  // namespace mansio::cli::load
