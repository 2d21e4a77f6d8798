#include "kernel/ingress/recording.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "kernel/ingress/filtered_message.hpp"
#include "kernel/mail/base64.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

constexpr std::string_view kStageNames[] = {"connect", "helo",   "starttls", "auth", "mail",           "rcpt",
                                            "data",    "header", "eoh",      "body", "end-of-message", "disconnect"};
constexpr std::string_view kOutcomes[] = {"accept", "skip", "defer", "reject", "failed"};
constexpr std::string_view kOnFailures[] = {"defer", "skip", "hold"};
constexpr std::string_view kEdits[] = {"add_header",  "insert_header", "change_header",    "delete_header",
                                       "set_sender",  "add_recipient", "delete_recipient", "replace_body",
                                       "hold",        "discard",       "redirect",         "route",
                                       "source_pool", "version"};

// A string of JSON; octets that are no UTF-8 as {"base64": ...}.
void append_octets(std::string &out, std::string_view octets) {
  if (valid_utf8(octets)) return append_json_string(out, octets);
  out += R"({"base64":")";
  out += base64_encode(octets);
  out += "\"}";
}

void append_member(std::string &out, std::string_view name, std::string_view value) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":", name);
  append_octets(out, value);
}

template <class List, class F>
void append_list(std::string &out, std::string_view name, const List &list, F each) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":[", name);
  bool first = true;
  for (const auto &one : list) {
    if (!std::exchange(first, false)) out += ',';
    each(one);
  }
  out += ']';
}

void append_values(std::string &out, std::string_view name, const wire::NamedValues &values) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":{{", name);
  bool first = true;
  for (auto at = values.begin(); at != values.end(); ++at) {
    const auto &[key, value] = *at;
    // What was set twice is as it was set last.
    if (std::any_of(at + 1, values.end(), [&](const auto &later) { return later.first == at->first; })) continue;
    if (!std::exchange(first, false)) out += ',';
    append_json_string(out, key);
    out += ':';
    append_octets(out, value);
  }
  out += '}';
}

// A new body is not kept, but what tells it from another.
std::string fingerprint(std::string_view octets) {
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  std::string out = fmt::format("{} octets, SHA-256 ", octets.size());
  if (EVP_Digest(octets.data(), octets.size(), sum, &n, EVP_sha256(), nullptr) != 1) n = 0;
  for (unsigned i = 0; i < n; ++i) fmt::format_to(std::back_inserter(out), "{:02x}", sum[i]);
  return out;
}

// "add_header X-Seen: yes", "change_header 1 Subject: x", "set_sender a@example.com", "version 1 b@example.com",
// "of_version 1 add_header X-Seen: yes".
std::string edit_text(const Edit &edit) {
  auto out = edit.version == 0 ? std::string{} : fmt::format("of_version {} ", edit.version);
  out += kEdits[static_cast<std::size_t>(edit.kind)];
  out += ' ';
  switch (edit.kind) {
    case EditKind::AddHeader:
      return out + edit.name + ": " + edit.value;
    case EditKind::InsertHeader:
    case EditKind::ChangeHeader:
      return out + fmt::format("{} {}: ", edit.number, edit.name) + edit.value;
    case EditKind::DeleteHeader:
      return out + fmt::format("{} {}", edit.number, edit.name);
    case EditKind::Version:
      return out + fmt::format("{} {}", edit.number, edit.value);
    case EditKind::ReplaceBody:
      return out + fingerprint(edit.value);
    default:
      return out + edit.value;
  }
}

std::int64_t microseconds(Nanos ns) { return ns / 1000; }

// Not in the middle of a character, if it is text.
std::string_view first_octets(std::string_view text, std::uint64_t most) {
  if (text.size() <= most) return text;
  auto n = static_cast<std::size_t>(most);
  for (int i = 0; i < 3 && n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0u) == 0x80u; ++i) --n;
  return text.substr(0, n);
}

}  // namespace

// Whether this session is recorded; the first time the recorder is asked.
bool Recording::begin() {
  if (std::exchange(begun_, true)) return file_ != nullptr;
  file_ = recorder_.begin();
  if (!file_) return false;
  line_ = "{\"session\":";
  append_json_string(line_, session_);
  fmt::format_to(std::back_inserter(line_), ",\"at\":{},\"begin\":{{\"listener\":", microseconds(clock_.wall()));
  append_json_string(line_, chain_.listener);
  append_list(line_, "watchers", chain_.links, [&](const FilterLink &link) {
    line_ += "{\"name\":";
    append_json_string(line_, link.name);
    append_member(line_, "plugin", link.plugin);
    append_member(line_, "process", link.isolated ? "host." + link.name : recorder_.run());
    append_member(line_, "on_failure", kOnFailures[static_cast<std::size_t>(link.on_failure)]);
    fmt::format_to(std::back_inserter(line_), ",\"command_timeout\":{},\"content_timeout\":{}}}",
                   microseconds(link.command_timeout), microseconds(link.content_timeout));
  });
  line_ += "}}\n";
  write();
  return file_ != nullptr;
}

// What begins every line: whose it is, when, and the facts unless they are the last one's.
void Recording::head(const wire::StageCall &facts) {
  line_ = "{\"session\":";
  append_json_string(line_, session_);
  fmt::format_to(std::back_inserter(line_), ",\"at\":{}", microseconds(clock_.wall()));
  if (facts.id) append_member(line_, "queue_id", to_string(facts.id));
  if (facts.macros == facts_) return;
  facts_ = facts.macros;
  append_values(line_, "facts", facts_);
}

void Recording::write() {
  if (!recorder_.write(file_, std::exchange(line_, {}))) file_.reset();
}

void Recording::event(std::string_view name, const wire::StageCall &facts) {
  if (!begin()) return;
  head(facts);
  append_member(line_, "event", name.empty() ? kStageNames[facts.stage] : name);
  append_list(line_, "arguments", facts.arguments, [&](const std::string &a) { append_octets(line_, a); });
  any_said_ = false;
}

void Recording::said(const std::string &by, std::uint32_t stage, const wire::StageResult &result, Nanos took) {
  if (!file_) return;
  line_ += std::exchange(any_said_, true) ? "," : ",\"said\":[";
  line_ += "{\"by\":";
  append_json_string(line_, by);
  append_member(line_, "event", kStageNames[stage]);
  append_member(line_, "as", kOutcomes[static_cast<std::size_t>(result.outcome)]);
  if (result.smtp_code != 0) fmt::format_to(std::back_inserter(line_), ",\"code\":{}", result.smtp_code);
  if (!result.enhanced.empty()) append_member(line_, "enhanced", to_string(result.enhanced));
  if (!result.text.empty()) append_member(line_, "text", result.text);
  if (!result.edits.empty())
    append_list(line_, "edits", result.edits, [&](const Edit &edit) { append_octets(line_, edit_text(edit)); });
  if (!result.session_meta.empty()) append_values(line_, "session_meta", result.session_meta);
  if (!result.message_meta.empty()) append_values(line_, "message_meta", result.message_meta);
  if (!result.told.empty())
    append_list(line_, "told", result.told, [&](const std::string &told) { append_octets(line_, told); });
  fmt::format_to(std::back_inserter(line_), ",\"took\":{}}}", microseconds(took));
}

void Recording::end(const std::optional<Reply> &reply) {
  if (!file_) return;
  if (any_said_) line_ += ']';
  if (reply) append_member(line_, "reply", to_string(*reply));
  line_ += "}\n";
  write();
}

void Recording::content(const FilteredMessage &message, const wire::StageCall &facts) {
  if (content_.lock() == message.content() || !begin()) return;
  content_ = message.content();
  const auto limit = recorder_.options().body_limit;
  const auto body = message.read(message.body_begin(), static_cast<std::size_t>(limit) + 1);
  if (!body) return content_left_out(message.size(), facts);
  head(facts);
  const auto kept = first_octets(*body, limit);
  fmt::format_to(std::back_inserter(line_), ",\"content\":{{\"size\":{}", message.size());
  append_member(line_, "header", message.header());
  append_member(line_, "body", kept);
  line_ += kept.size() < body->size() ? ",\"cut\":true}}\n" : "}}\n";
  write();
}

void Recording::content_left_out(std::uint64_t size, const wire::StageCall &facts) {
  if (!begin()) return;
  head(facts);
  fmt::format_to(std::back_inserter(line_), ",\"content\":{{\"size\":{}}}}}\n", size);
  write();
}

}  // namespace mansio::ingress
