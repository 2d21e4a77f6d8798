#include "kernel/host/stage_rules.hpp"

#include <iterator>
#include <string>
#include <utility>

#include "kernel/mail/address.hpp"
#include "mansio/draft/filter.h"

namespace mansio::host {
namespace {

constexpr std::size_t kLongestKey = 64, kLongestValue = 4096, kLongestReason = 512;

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
  constexpr std::string_view names[] = {"CONNECT", "HELO",   "STARTTLS",       "AUTH", "MAIL",           "RCPT",
                                        "DATA",    "header", "end of headers", "body", "end of message", "disconnect"};
  return stage < std::size(names) ? names[stage] : "unknown";
}

bool is_content(std::uint32_t stage) { return stage >= MANSIO_STAGE_HEADER && stage <= MANSIO_STAGE_END_OF_MESSAGE; }

mansio_status check_edit(Edit &edit, bool filter, std::uint32_t stage) {
  if (edit.kind == EditKind::Hold || edit.kind == EditKind::Discard || edit.kind == EditKind::Redirect) {
    if (stage < MANSIO_STAGE_MAIL || stage > MANSIO_STAGE_END_OF_MESSAGE) return MANSIO_UNSUPPORTED;
    if (edit.kind == EditKind::Redirect) return canonical_address(edit.value, false) ? MANSIO_OK : MANSIO_FAIL;
    edit.value = one_reason(edit.value);
    return MANSIO_OK;
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
    case EditKind::DeleteRecipient:
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
  if (result.outcome > wire::StageOutcome::Failed || result.edits.size() > kMostEdits) return false;
  if (result.outcome != wire::StageOutcome::Ok)
    return result.edits.empty() && result.session_meta.empty() && result.message_meta.empty();
  for (auto &edit : result.edits)
    if (check_edit(edit, filter, stage) != MANSIO_OK) return false;
  for (const auto &[name, value] : result.session_meta)
    if (check_metadata(name, value, false, stage) != MANSIO_OK) return false;
  for (const auto &[name, value] : result.message_meta)
    if (check_metadata(name, value, true, stage) != MANSIO_OK) return false;
  return true;
}

}  // namespace mansio::host
