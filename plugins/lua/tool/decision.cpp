#include "plugins/lua/tool/decision.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "mansio/draft/filter.h"

namespace mansio::lua::tool {
namespace {

constexpr std::string_view kReplaceBody = "replace_body ";

char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::uint16_t default_code(std::uint32_t stage, bool permanent) {
  switch (stage) {
    case MANSIO_STAGE_CONNECT:
      return permanent ? 554 : 421;
    case MANSIO_STAGE_DATA:
      return permanent ? 554 : 451;
    case MANSIO_STAGE_STARTTLS:
      return permanent ? 554 : 454;
    case MANSIO_STAGE_AUTH:
      return permanent ? 535 : 454;
    default:
      return permanent ? 550 : 451;
  }
}

// What the client hears of a refusal.
void fill_in(Decision &d, std::uint32_t stage) {
  const bool permanent = d.action == "reject";
  if (d.code / 100 != (permanent ? 5 : 4)) d.code = default_code(stage, permanent);
  if (d.enhanced.empty() || d.enhanced.ends_with(".0.0")) d.enhanced = "x.7.1";
  d.enhanced.front() = permanent ? '5' : '4';
  for (auto &c : d.text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  if (d.text.empty()) d.text = permanent ? "Rejected by policy" : "Deferred by policy, try again later";
}

std::string fingerprint_of(std::string_view octets) {
  constexpr char kDigits[] = "0123456789abcdef";
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  std::string out = std::to_string(octets.size()) + " octets, SHA-256 ";
  if (EVP_Digest(octets.data(), octets.size(), sum, &n, EVP_sha256(), nullptr) != 1) n = 0;
  for (unsigned i = 0; i < n; ++i) {
    out += kDigits[sum[i] >> 4];
    out += kDigits[sum[i] & 15];
  }
  return out;
}

// As Mansio makes them: a bare LF is a line end, a bare CR a blank.
std::string canonical_lines(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n' && (i == 0 || text[i - 1] != '\r')) out += '\r';
    out += c == '\r' && (i + 1 == text.size() || text[i + 1] != '\n') ? ' ' : c;
  }
  return out;
}

// Of "of_version 1 add_header X: y" what comes before the edit itself.
std::string_view its_version(std::string_view edit) {
  if (!edit.starts_with("of_version ")) return {};
  return edit.substr(0, edit.find(' ', edit.find(' ') + 1) + 1);
}
// The pieces of a new body that begins here, or goes on: of `version`.
bool is_body(std::string_view edit, std::string_view version) {
  return its_version(edit) == version && edit.substr(version.size()).starts_with(kReplaceBody);
}

std::string canonical_edit(std::string edit) {
  if (const auto version = std::string{its_version(edit)}; !version.empty())
    return version + canonical_edit(edit.substr(version.size()));
  if (std::string_view{edit}.substr(0, edit.find(' ')).ends_with("_header")) return canonical_lines(edit);
  const bool address = edit.starts_with("set_sender ") || edit.starts_with("add_recipient ") ||
                       edit.starts_with("delete_recipient ") || edit.starts_with("version ");
  if (const auto at = edit.rfind('@'); address && at != edit.npos)
    std::transform(edit.begin() + static_cast<std::ptrdiff_t>(at), edit.end(),
                   edit.begin() + static_cast<std::ptrdiff_t>(at), lower_ascii);
  return edit;
}

// The pieces of a new body are one edit.
std::vector<std::string> canonical_edits(const std::vector<std::string> &edits) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const std::string version{its_version(edits[i])};
    if (!is_body(edits[i], version)) {
      out.push_back(canonical_edit(edits[i]));
      continue;
    }
    const auto text = version.size() + kReplaceBody.size();
    std::string body = edits[i].substr(text);
    while (i + 1 < edits.size() && is_body(edits[i + 1], version)) body += std::string_view{edits[++i]}.substr(text);
    out.push_back(version + std::string{kReplaceBody} + fingerprint_of(body));
  }
  return out;
}

std::vector<std::string> without_bodies(std::vector<std::string> edits) {
  for (auto &edit : edits) {
    const std::string version{its_version(edit)};
    if (is_body(edit, version)) edit = version + std::string{kReplaceBody};
  }
  return edits;
}

void append_printable(std::string &out, std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\r') {
      out += "\\r";
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
}

}  // namespace

bool Decision::discards() const {
  return std::any_of(edits.begin(), edits.end(), [](const auto &edit) { return edit.starts_with("discard "); });
}

void Decision::add(const RecordedAnswer &said) {
  if (said.as == "accept") {
    for (const auto &edit : said.edits) edits.push_back(canonical_edit(edit));
    for (const auto &[name, value] : said.session_meta) session_meta[name] = value;
    for (const auto &[name, value] : said.message_meta) message_meta[name] = value;
    return;
  }
  if (said.as == "skip") return;
  action = said.as;
  code = said.code;
  enhanced = said.enhanced;
  text = said.text;
  if (refuses()) fill_in(*this, said.stage);
}

void Decision::add(const mansio::testing::FakeResult &result, std::uint32_t stage) {
  const auto &reply = *result.last;
  switch (reply.status) {
    case MANSIO_OK:
      for (auto &edit : canonical_edits(result.edits)) edits.push_back(std::move(edit));
      for (const auto &[name, value] : result.session_meta) session_meta[name] = value;
      for (const auto &[name, value] : result.message_meta) message_meta[name] = value;
      return;
    case MANSIO_SKIP:
      return;
    case MANSIO_DEFER:
    case MANSIO_FAIL:
      action = reply.status == MANSIO_FAIL ? "reject" : "defer";
      code = static_cast<std::uint16_t>(reply.smtp_code);
      enhanced = reply.enhanced;
      text = reply.text;
      return fill_in(*this, stage);
    default:
      return fail(reply.text);
  }
}

void Decision::fail(const std::string &why) {
  action = "failed";
  text = why;
}

bool same(const Decision &a, const Decision &b, bool whole) {
  if (a.action != b.action) return false;
  if (a.failed()) return true;
  if (a.session_meta != b.session_meta || a.message_meta != b.message_meta) return false;
  if (whole ? a.edits != b.edits : without_bodies(a.edits) != without_bodies(b.edits)) return false;
  return a.code == b.code && a.enhanced == b.enhanced && a.text == b.text;
}

std::string to_text(const Decision &decision) {
  std::string out;
  if (decision.refuses())
    append_printable(out, std::to_string(decision.code) + ' ' + decision.enhanced + ' ' + decision.text);
  else
    append_printable(out, decision.failed() ? "failed: " + decision.text : decision.action);
  const auto add = [&](std::string_view what) {
    out += "; ";
    append_printable(out, what);
  };
  for (const auto &edit : decision.edits) add(edit);
  for (const auto &[name, value] : decision.session_meta) add("session." + name + " = " + value);
  for (const auto &[name, value] : decision.message_meta) add("message." + name + " = " + value);
  return out;
}

}  // namespace mansio::lua::tool
