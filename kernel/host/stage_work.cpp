#include "kernel/host/stage_work.hpp"

#include <algorithm>
#include <utility>

#include "kernel/host/stage_rules.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::host {

std::int64_t StageWork::meta(bool of_message, std::string_view name, char *to, std::size_t n) const {
  for (const auto &[known, value] : of_message ? call_.message_meta : call_.session_meta) {
    if (known != name) continue;
    if (to) std::copy_n(value.data(), std::min(n, value.size()), to);
    return static_cast<std::int64_t>(value.size());
  }
  return -1;
}

mansio_status StageWork::set_meta(bool of_message, std::string_view name, std::string_view value) {
  if (const auto status = check_metadata(name, value, of_message, call_.stage); status != MANSIO_OK) return status;
  const std::lock_guard lock{mutex_};
  if (closed_ || bytes_ > kMostEditedBytes) return MANSIO_FAIL;
  bytes_ += name.size() + value.size();
  (of_message ? gathered_.message_meta : gathered_.session_meta).emplace_back(name, value);
  return MANSIO_OK;
}

mansio_status StageWork::edit(Edit edit) {
  if (const auto status = check_edit(edit, filter_, call_.stage); status != MANSIO_OK) return status;
  const std::lock_guard lock{mutex_};
  if (closed_ || bytes_ + edit.value.size() > kMostEditedBytes || gathered_.edits.size() >= kMostEdits)
    return MANSIO_FAIL;
  if (edit.version > versions_) return MANSIO_FAIL;
  bytes_ += edit.name.size() + edit.value.size();
  auto &edits = gathered_.edits;
  if (edit.kind == EditKind::ReplaceBody && !edits.empty() && edits.back().kind == EditKind::ReplaceBody &&
      edits.back().version == edit.version)
    edits.back().value += edit.value;
  else
    edits.push_back(std::move(edit));
  return MANSIO_OK;
}

std::uint32_t StageWork::version(std::vector<std::string> recipients) {
  std::vector<Edit> edits;
  edits.reserve(recipients.size());
  for (auto &recipient : recipients) {
    Edit edit{EditKind::Version, 0, "", std::move(recipient)};
    if (check_edit(edit, filter_, call_.stage) != MANSIO_OK) return 0;
    recipient = edit.value;
    edits.push_back(std::move(edit));
  }
  const std::lock_guard lock{mutex_};
  if (closed_ || edits.empty() || versions_ == kMostVersions || gathered_.edits.size() + edits.size() > kMostEdits)
    return 0;
  if (!may_have_version(recipients)) return 0;
  ++versions_;
  for (auto &edit : edits) {
    edit.number = versions_;
    bytes_ += edit.value.size();
    gathered_.edits.push_back(std::move(edit));
  }
  return versions_;
}

// All of them are recipients now, and have none yet.
bool StageWork::may_have_version(const std::vector<std::string> &recipients) const {
  auto known = call_.arguments;
  std::vector<std::string> taken;
  const auto is = [](const std::string &name) {
    return [&name](const std::string &other) { return equals_nocase(other, name); };
  };
  for (const auto &edit : gathered_.edits) {
    if (edit.kind == EditKind::Redirect) known.clear();
    if (edit.kind == EditKind::Redirect || edit.kind == EditKind::AddRecipient) known.push_back(edit.value);
    if (edit.kind == EditKind::DeleteRecipient) std::erase_if(known, is(edit.value));
    if (edit.kind == EditKind::Version) taken.push_back(edit.value);
  }
  return std::ranges::all_of(recipients, [&](const std::string &name) {
    return std::ranges::any_of(known, is(name)) && std::ranges::none_of(taken, is(name));
  });
}

void StageWork::close(wire::StageResult &result) {
  const std::lock_guard lock{mutex_};
  closed_ = true;
  if (result.outcome != wire::StageOutcome::Ok) return;
  result.edits = std::move(gathered_.edits);
  result.session_meta = std::move(gathered_.session_meta);
  result.message_meta = std::move(gathered_.message_meta);
}

}  // namespace mansio::host
