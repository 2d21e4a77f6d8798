#include "kernel/router/submission.hpp"

#include <fmt/format.h>

#include <utility>

#include "kernel/host/stage_rules.hpp"
#include "kernel/mail/address.hpp"
#include "kernel/mail/new_mail.hpp"
#include "kernel/mail/utf8.hpp"
#include "mansio/draft/filter.h"

namespace mansio::router {
namespace {

Error refused(std::string text, EnhancedStatus enhanced) { return {Status::Fail, std::move(text), enhanced}; }

}  // namespace

Result<Envelope> submission_envelope(const wire::SubmitCall &call, const config::Settings &settings, Nanos now) {
  const auto &limits = settings.smtpd;
  if (call.recipients.empty()) return refused("no recipient", {5, 5, 4});
  if (limits.recipient_limit != 0 && call.recipients.size() > limits.recipient_limit)
    return refused(fmt::format("more than {} recipients", limits.recipient_limit), {5, 5, 3});
  if (call.length > limits.message_size_limit)
    return refused(fmt::format("message larger than {} octets", limits.message_size_limit), {5, 3, 4});
  Envelope envelope;
  envelope.smtputf8 = (call.flags & MANSIO_MSG_SMTPUTF8) != 0;
  const PathOptions options{.smtputf8 = envelope.smtputf8, .strict = false};
  if (!call.sender.empty()) {
    const auto sender = parse_mailbox(call.sender, options);
    if (!sender) return refused("sender " + printable(call.sender, true) + ": " + sender.error().text, {5, 1, 7});
    envelope.sender = to_string(*sender);
  }
  for (const auto &text : call.recipients) {
    const auto address = parse_mailbox(text, options);
    if (!address) return refused("recipient " + printable(text, true) + ": " + address.error().text, {5, 1, 3});
    envelope.recipients.emplace_back().address = to_string(*address);
  }
  for (const auto &[name, value] : call.metadata) {
    if (host::check_metadata(name, value, true, MANSIO_STAGE_MAIL) != MANSIO_OK)
      return refused("metadata " + printable(name, true) + " cannot be set", {5, 5, 4});
    if (value.empty()) continue;
    if (!set_metadata(envelope, name, value)) return refused("priority is no number from -9 to 9", {5, 5, 4});
  }
  envelope.body_type = (call.flags & MANSIO_MSG_BODY_8BITMIME) != 0 ? BodyType::EightBitMime : BodyType::SevenBit;
  envelope.arrival = now;
  envelope.protocol = "internal";
  return envelope;
}

Result<void> judge_submission(const ContentScanner &content, std::uint64_t longest_line,
                              const config::Settings &settings) {
  const auto &limits = settings.smtpd;
  if (content.size() > limits.message_size_limit)
    return refused(fmt::format("message larger than {} octets", limits.message_size_limit), {5, 3, 4});
  if (content.header_size() > limits.header_size_limit)
    return refused(fmt::format("header section larger than {} octets", limits.header_size_limit), {5, 3, 4});
  if (limits.line_length_limit != 0 && longest_line > limits.line_length_limit)
    return refused(fmt::format("line longer than {} octets", limits.line_length_limit), {5, 6, 0});
  if (limits.hopcount_limit != 0 && content.received() >= limits.hopcount_limit)
    return refused("too many hops", {5, 4, 6});
  return {};
}

}  // namespace mansio::router
