#include "kernel/cli/queue_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <ctime>

#include "kernel/base/without_controls.hpp"
#include "kernel/cli/json_fields.hpp"

namespace mansio::cli {
namespace {

namespace json = boost::json;

// Postfix's formats. Our ids have 13 characters, so its short form's first column overflows by two for an id with a
// mark; its columns are read by white space.
constexpr std::string_view kHeader = "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n";
constexpr std::size_t kReasonEnd = 76;  // the column a reason is right-aligned to
constexpr std::size_t kAddressColumn = 41;

// asctime's first 19 characters and a blank: "Sun Nov 22 06:25:00 ".
std::string arrival(std::int64_t seconds) {
  const auto t = static_cast<std::time_t>(seconds);
  std::tm local{};
  localtime_r(&t, &local);
  char text[32];
  const auto n = std::strftime(text, sizeof text, "%a %b %e %H:%M:%S ", &local);
  return {text, n};
}

std::string reason_line(const std::string &reason) {
  const auto text = "(" + without_controls(reason) + ")";
  return std::string(text.size() < kReasonEnd ? kReasonEnd - text.size() : 0, ' ') + text + "\n";
}

}  // namespace

std::string QueueTable::row(std::string_view json_line) {
  boost::system::error_code e;
  const auto value = json::parse({json_line.data(), json_line.size()}, e);
  if (e || !value.is_object()) return {};
  const auto &m = value.get_object();
  auto id = text_of(m, "queue_id");
  if (id.empty()) return {};
  const auto state = text_of(m, "queue_name");
  if (state == "active") id += '*';
  if (state == "hold") id += '!';
  if (truth_of(m, "forced_expire")) id += '#';
  auto sender = without_controls(text_of(m, "sender"));
  if (sender.empty()) sender = "MAILER-DAEMON";
  const auto size = number_of(m, "message_size");

  std::string out;
  if (messages_++ == 0)
    out += kHeader;
  else
    out += '\n';
  bytes_ += static_cast<std::uint64_t>(std::max<std::int64_t>(size, 0));
  out += fmt::format("{:<11} {:>7} {:>20.20} {}\n", id, size, arrival(number_of(m, "arrival_time")), sender);
  if (const auto hold = text_of(m, "hold_reason"); !hold.empty()) out += reason_line(hold);
  std::string last;
  if (const auto *recipients = m.if_contains("recipients"); recipients && recipients->is_array())
    for (const auto &r : recipients->get_array()) {
      if (!r.is_object()) continue;
      // A reason stands once above all recipients that share it.
      if (const auto why = text_of(r.get_object(), "delay_reason"); !why.empty() && why != last) {
        out += reason_line(why);
        last = why;
      }
      out += std::string(kAddressColumn, ' ') + without_controls(text_of(r.get_object(), "address")) + "\n";
    }
  return out;
}

std::string QueueTable::trailer() const {
  if (messages_ == 0) return "Mail queue is empty\n";
  return fmt::format("\n-- {} Kbytes in {} Request{}.\n", bytes_ / 1024, messages_, messages_ == 1 ? "" : "s");
}

}  // namespace mansio::cli
