#include "kernel/host/stage_work.hpp"

#include <algorithm>
#include <utility>

#include "kernel/host/stage_rules.hpp"

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
  bytes_ += edit.name.size() + edit.value.size();
  auto &edits = gathered_.edits;
  if (edit.kind == EditKind::ReplaceBody && !edits.empty() && edits.back().kind == EditKind::ReplaceBody)
    edits.back().value += edit.value;
  else
    edits.push_back(std::move(edit));
  return MANSIO_OK;
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
