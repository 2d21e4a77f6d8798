#include "kernel/host/stage_rules.hpp"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <string>
#include <utility>

#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"
#include "mansio/draft/filter.h"

namespace mansio::host {
namespace {

constexpr std::size_t kLongestKey = 64, kLongestValue = 4096, kLongestReason = 512, kLongestName = 1000;

// At which stages of the queue an edit is possible; the bits of the others are not here.
constexpr std::uint64_t bits(std::initializer_list<std::uint32_t> stages) {
  std::uint64_t all = 0;
  for (const auto stage : stages) all |= std::uint64_t{1} << stage;
  return all;
}
constexpr auto kHolds = bits({MANSIO_STAGE_ROUTE, MANSIO_STAGE_PRE_DELIVERY, MANSIO_STAGE_RETRY});
constexpr auto kDiscards = bits({MANSIO_STAGE_ROUTE, MANSIO_STAGE_PRE_DELIVERY, MANSIO_STAGE_BOUNCE});
constexpr auto kRoutes = bits({MANSIO_STAGE_ROUTE, MANSIO_STAGE_PRE_DELIVERY});
constexpr auto kRedirects = bits({MANSIO_STAGE_BOUNCE});

bool is_one_of(std::uint64_t stages, std::uint32_t stage) { return stage < 64 && (stages >> stage & 1) != 0; }

// Of a transport, a next hop or a pool: what the configuration has under that name is for those to see who ask.
bool is_name(std::string_view text) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return text.size() <= kLongestName && std::none_of(text.begin(), text.end(), control);
}

bool meta_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestKey &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == name.npos && !name.starts_with("mansio.");
}

// As envelopes have it. "" is the null sender.
bool canonical_address(std::string &text, bool may_be_null) {
  if (text.empty()) return may_be_null;
  const auto address = parse_mailbox(text);
  if (!address) return false;
  text = to_string(*address);
  return true;
}

std::string one_reason(std::string_view text) {
  std::string out{text.substr(0, kLongestReason)};
  for (auto &c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return out;
}

}  // namespace

std::string_view stage_name(std::uint32_t stage) {
  constexpr std::string_view names[] = {
      "CONNECT",        "HELO", "STARTTLS",       "AUTH",       "MAIL",  "RCPT",         "DATA",  "header",
      "end of headers", "body", "end of message", "disconnect", "route", "pre-delivery", "retry", "bounce"};
  return stage < std::size(names) ? names[stage] : "unknown";
}

bool is_content(std::uint32_t stage) { return stage >= MANSIO_STAGE_HEADER && stage <= MANSIO_STAGE_END_OF_MESSAGE; }

mansio_status check_edit(Edit &edit, bool filter, std::uint32_t stage) {
  const auto of_queue = [&](std::uint64_t stages) { return !filter && is_one_of(stages, stage); };
  const bool of_message = stage >= MANSIO_STAGE_MAIL && stage <= MANSIO_STAGE_END_OF_MESSAGE;
  if (edit.version != 0 && !edits_header(edit.kind) && edit.kind != EditKind::ReplaceBody) return MANSIO_FAIL;
  switch (edit.kind) {
    case EditKind::Hold:
    case EditKind::Discard:
      if (!of_message && !of_queue(edit.kind == EditKind::Hold ? kHolds : kDiscards)) return MANSIO_UNSUPPORTED;
      edit.value = one_reason(edit.value);
      return MANSIO_OK;
    case EditKind::Redirect:
      if (!of_message && !of_queue(kRedirects)) return MANSIO_UNSUPPORTED;
      return canonical_address(edit.value, false) ? MANSIO_OK : MANSIO_FAIL;
    case EditKind::Route:
      if (!of_queue(kRoutes)) return MANSIO_UNSUPPORTED;
      if (edit.name.empty() && edit.value.empty()) return MANSIO_FAIL;
      return is_name(edit.name) && is_name(edit.value) ? MANSIO_OK : MANSIO_FAIL;
    case EditKind::SourcePool:
      if (!of_queue(kRoutes)) return MANSIO_UNSUPPORTED;
      return !edit.value.empty() && is_name(edit.value) ? MANSIO_OK : MANSIO_FAIL;
    default:
      break;
  }
  if (!filter || stage != MANSIO_STAGE_END_OF_MESSAGE) return MANSIO_UNSUPPORTED;
  switch (edit.kind) {
    case EditKind::AddHeader:
    case EditKind::InsertHeader:
    case EditKind::ChangeHeader: {
      if (!is_header_name(edit.name)) return MANSIO_FAIL;
      auto value = canonical_header_value(edit.name, edit.value);
      if (!value) return MANSIO_FAIL;
      edit.value = std::move(*value);
      break;
    }
    case EditKind::DeleteHeader:
      if (!is_header_name(edit.name)) return MANSIO_FAIL;
      break;
    case EditKind::SetSender:
      return canonical_address(edit.value, true) ? MANSIO_OK : MANSIO_FAIL;
    case EditKind::AddRecipient:
      return canonical_address(edit.value, false) ? MANSIO_OK : MANSIO_FAIL;
    case EditKind::DeleteRecipient:
    case EditKind::Version:  // the one that RCPT may name without a domain (RFC 5321 section 4.5.1)
      if (equals_nocase(edit.value, "postmaster")) return MANSIO_OK;
      return canonical_address(edit.value, false) ? MANSIO_OK : MANSIO_FAIL;
    case EditKind::ReplaceBody:
      return MANSIO_OK;
    default:
      return MANSIO_FAIL;
  }
  const bool counted = edit.kind == EditKind::ChangeHeader || edit.kind == EditKind::DeleteHeader;
  return counted && edit.number == 0 ? MANSIO_FAIL : MANSIO_OK;
}

mansio_status check_metadata(std::string_view name, std::string_view value, bool of_message, std::uint32_t stage) {
  if (!meta_name(name) || value.size() > kLongestValue) return MANSIO_FAIL;
  if (stage >= MANSIO_STAGE_DISCONNECT) return MANSIO_UNSUPPORTED;
  return of_message && stage < MANSIO_STAGE_MAIL ? MANSIO_UNSUPPORTED : MANSIO_OK;
}

bool fits_recording(const std::vector<std::string> &told) {
  std::size_t bytes = 0;
  for (const auto &one : told) bytes += one.size();
  return told.size() <= kMostTold && bytes <= kMostToldBytes;
}

bool valid(wire::StageResult &result, bool filter, std::uint32_t stage) {
  if (!fits_recording(result.told)) result.told.clear();
  if (result.outcome > wire::StageOutcome::Failed || result.edits.size() > kMostEdits || result.retry < 0) return false;
  if (result.outcome != wire::StageOutcome::Ok)
    return result.edits.empty() && result.session_meta.empty() && result.message_meta.empty();
  std::uint32_t versions = 0;
  for (auto &edit : result.edits) {
    if (check_edit(edit, filter, stage) != MANSIO_OK || edit.version > versions) return false;
    if (edit.kind != EditKind::Version) continue;
    // One after the other, each complete before it is edited or the next begins.
    if (edit.number == versions + 1 && versions < kMostVersions) ++versions;
    if (edit.number == 0 || edit.number != versions) return false;
  }
  for (const auto &[name, value] : result.session_meta)
    if (check_metadata(name, value, false, stage) != MANSIO_OK) return false;
  for (const auto &[name, value] : result.message_meta)
    if (check_metadata(name, value, true, stage) != MANSIO_OK) return false;
  return true;
}

}  // namespace mansio::host
