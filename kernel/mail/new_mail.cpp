#include "kernel/mail/new_mail.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>
#include <utility>

namespace mansio {

// A recipient list mostly has one route; the last one used is the likeliest.
void add_recipient(Envelope &envelope, Recipient recipient, Route route) {
  auto &routes = envelope.routes;
  const auto known = std::find(routes.rbegin(), routes.rend(), route);
  recipient.route = static_cast<std::uint16_t>(known == routes.rend() ? routes.size() : routes.rend() - known - 1);
  if (known == routes.rend()) routes.push_back(std::move(route));
  if (recipient.original == recipient.address) recipient.original.clear();
  envelope.recipients.push_back(std::move(recipient));
}

bool set_metadata(Envelope &envelope, const std::string &name, const std::string &value) {
  if (name == "priority") {  // transports have it of the envelope, so no other value may pass for one
    int priority = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), priority);
    if (error != std::errc{} || end != value.data() + value.size() || priority < -9 || priority > 9) return false;
    envelope.priority = static_cast<std::uint8_t>(static_cast<std::int8_t>(priority));
  } else if (name == "tenant") {
    envelope.tenant = value;
  } else if (name == "campaign") {
    envelope.campaign = value;
  } else if (name == "source_pool") {
    envelope.source_pool = value;
  } else {
    std::erase_if(envelope.metadata, [&](const auto &known) { return known.first == name; });
    envelope.metadata.emplace_back(name, value);
  }
  return true;
}

std::string put_before(const ContentScanner &content, std::string fields, Envelope &envelope) {
  // Content that begins with its body, without even the empty line, would have that taken for a part of our fields.
  if (content.header_malformed() && content.header_size() == 0) fields += "\r\n";
  // And a line of an mbox file becomes a field, or the fields behind it would be body.
  if (content.mailbox_line()) fields += "X-Mailbox-Line: ";
  envelope.body = content.info();
  envelope.body.size += fields.size();  // the body in the spool begins with them
  ++envelope.body.hops;
  return fields;
}

}  // namespace mansio
