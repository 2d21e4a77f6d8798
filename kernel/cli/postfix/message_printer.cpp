#include "kernel/cli/postfix/message_printer.hpp"

#include <fmt/format.h>

#include <ctime>
#include <utility>

namespace mansio::cli::postfix {
namespace {

std::string ctime_of(Nanos wall) {
  const auto seconds = static_cast<std::time_t>(wall / kSecond);
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &local)};
}

// RFC 5322: "Name:" or the continuation of one; mbox's "From " may stand before the first.
bool is_header_line(std::string_view line, bool first) {
  if (line.empty()) return false;
  if (line.front() == ' ' || line.front() == '\t') return !first;
  if (first && line.starts_with("From ")) return true;
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const auto name = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
  for (const unsigned char c : name)
    if (c <= 32 || c >= 127) return false;
  return true;
}

}  // namespace

void MessagePrinter::record(char type, std::string_view text) {
  std::string out;
  if (form_.names) out += name_ + ": ";
  if (form_.offsets) out += fmt::format("{:>9} ", offset_);
  if (form_.types) out += fmt::format("{:>3} ", static_cast<int>(type));
  out_((out += text) += '\n');
}

void MessagePrinter::attribute(std::string_view name, std::string_view value) {
  if (!value.empty()) record('A', fmt::format("named_attribute: {}={}", name, value));
}

void MessagePrinter::envelope(const Envelope &e, std::uint64_t offset, const std::multiset<std::string> *waits) {
  if (!form_.envelope) return;
  out_(fmt::format("*** ENVELOPE RECORDS {} ***\n", name_));
  offset_ = offset;
  record('C', fmt::format("message_size: {:>15} {:>15} {:>15} {:>15} {:>15} {:>15}", e.body.size, 0,
                          e.recipients.size(), 0, e.body.size, e.smtputf8 ? 1 : 0));
  record('T', "message_arrival_time: " + ctime_of(e.arrival));
  const auto port = [](std::uint16_t n) { return n == 0 ? std::string{} : std::to_string(n); };
  if (e.origin) attribute("log_ident", e.origin->ident);
  attribute("log_client_name", e.origin ? e.origin->name : e.client_name);
  attribute("log_client_address", e.origin ? e.origin->address : e.client_address);
  attribute("log_client_port", port(e.origin ? e.origin->port : e.client_port));
  attribute("log_helo_name", e.origin ? e.origin->helo : e.helo);
  attribute("log_protocol_name", e.origin ? e.origin->protocol : e.protocol);
  attribute("sasl_method", e.auth_method);
  attribute("sasl_username", e.auth_user);
  attribute("sasl_sender", e.auth_sender);
  attribute("encoding", e.body_type == BodyType::EightBitMime ? "8bit" : "7bit");
  attribute("dsn_envid", e.envid);
  attribute("dsn_ret_flags", e.ret == Ret::Full ? "1" : e.ret == Ret::Hdrs ? "2" : "");
  record('S', "sender: " + e.sender);
  std::multiset<std::string> left;
  if (waits) left = *waits;
  for (const auto &r : e.recipients) {
    if (!r.orcpt.empty()) attribute("dsn_orig_rcpt", r.orcpt);
    if (r.notify != 0) attribute("notify_flags", std::to_string(r.notify));
    if (!r.original.empty()) record('O', "original_recipient: " + r.original);
    const auto waiting = left.find(r.address);
    const bool done = waits && waiting == left.end();
    if (waiting != left.end()) left.erase(waiting);
    record(done ? 'D' : 'R', (done ? "done_recipient: " : "recipient: ") + r.address);
  }
}

void MessagePrinter::begin_content(std::uint64_t offset) {
  offset_ = offset;
  if (form_.envelope) record('M', fmt::format("*** MESSAGE CONTENTS {} ***", name_));
}

void MessagePrinter::line(std::string_view text) {
  const auto size = text.size() + 1;
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (in_header_ && !is_header_line(text, first_)) in_header_ = false;
  first_ = false;
  if (in_header_ ? form_.header : form_.body) record('N', text);
  offset_ += size;
}

void MessagePrinter::content(std::string_view bytes) {
  for (std::size_t end; (end = bytes.find('\n')) != std::string_view::npos; bytes.remove_prefix(end + 1)) {
    if (pending_.empty()) {
      line(bytes.substr(0, end));
    } else {
      pending_ += bytes.substr(0, end);
      line(std::exchange(pending_, {}));
    }
  }
  pending_ += bytes;
}

void MessagePrinter::end() {
  if (!pending_.empty()) line(std::exchange(pending_, {}));
  if (!form_.envelope) return;
  record('X', fmt::format("*** HEADER EXTRACTED {} ***", name_));
  record('E', fmt::format("*** MESSAGE FILE END {} ***", name_));
}

}  // namespace mansio::cli::postfix
