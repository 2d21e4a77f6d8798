#include "plugins/transport-http/envelope.hpp"

#include <cstdio>

#include "plugins/transport-common/header.hpp"

namespace mansio::http {
namespace {

using transport::header_safe;

constexpr std::int64_t kNanoseconds = 1'000'000'000;  // of a second

// Octets of the UTF-8 character at the front of `text`; 0: none.
std::size_t utf8_length(std::string_view text) {
  const auto octet = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto first = octet(0), second = octet(1);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((octet(i) & 0xc0) != 0x80) return 0;
  const bool wrong = (first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0) ||
                     (first == 0xf0 && second < 0x90) || (first == 0xf4 && second >= 0x90);
  return wrong ? 0 : length;
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const auto length = utf8_length(text);
    const char c = text.front();
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + '"';
}

std::vector<std::string> header_fields(const plugin::Delivery &mail, bool raw) {
  std::vector<std::string> out{"Mansio-Queue-Id: " + header_safe(mail.queue_id)};
  if (mail.has(MANSIO_MSG_POSSIBLE_DUPLICATE)) out.emplace_back("Mansio-Possible-Duplicate: yes");
  if (!raw) {
    out.emplace_back("Content-Type: application/json");
    return out;
  }
  out.emplace_back("Content-Type: message/rfc822");
  out.push_back("Mansio-Sender: <" + header_safe(mail.sender) + '>');
  for (const auto &recipient : mail.recipients)
    out.push_back("Mansio-Recipient: <" + header_safe(recipient.address) + '>');
  if (!mail.client_address.empty()) out.push_back("Mansio-Client-Address: " + header_safe(mail.client_address));
  return out;
}

std::string json_head(const plugin::Delivery &mail) {
  std::string out = "{\"queue_id\":" + json_string(mail.queue_id) + ",\"sender\":" + json_string(mail.sender);
  out += ",\"recipients\":[";
  for (const auto &recipient : mail.recipients) {
    if (out.back() != '[') out += ',';
    const auto &original = recipient.original.empty() ? recipient.address : recipient.original;
    out += "{\"address\":" + json_string(recipient.address) + ",\"original\":" + json_string(original) + '}';
  }
  out += "],\"client\":{\"address\":" + json_string(mail.client_address) +
         ",\"name\":" + json_string(mail.client_name) + ",\"helo\":" + json_string(mail.client_helo) +
         "},\"metadata\":{";
  for (const auto &[name, value] : mail.metadata) {
    if (out.back() != '{') out += ',';
    out += json_string(name) + ':' + json_string(value);
  }
  out += "},\"arrival\":" + std::to_string(mail.arrival / kNanoseconds) + ",\"size\":" + std::to_string(mail.length) +
         ",\"possible_duplicate\":" + (mail.has(MANSIO_MSG_POSSIBLE_DUPLICATE) ? "true" : "false") + ",\"message\":\"";
  return out;
}

}  // namespace mansio::http
