#include "kernel/process/log_teller.hpp"

#include <chrono>
#include <utility>

namespace mansio::process {
namespace {

constexpr std::chrono::milliseconds kMoment{50};  // that lines are kept
constexpr std::size_t kBatchBytes = 32 * 1024;    // and one line more, which fits a message

}  // namespace

LogTeller::LogTeller(asio::io_context &loop, Send send) : loop_(loop), send_(std::move(send)), timer_(loop) {}

void LogTeller::wanted(bool yes) {
  wanted_ = yes;
  if (yes) return;
  const std::lock_guard lock{mutex_};
  lines_.clear();
  bytes_ = dropped_ = 0;
}

void LogTeller::take(std::string_view line) {
  if (!wanted_) return;
  if (line.ends_with('\n')) line.remove_suffix(1);
  const std::lock_guard lock{mutex_};
  if (line.size() > kLongest || bytes_ + line.size() > kMostBytes) {
    ++dropped_;
  } else {
    bytes_ += line.size();
    lines_.emplace_back(line);
  }
  if (std::exchange(scheduled_, true)) return;
  asio::post(loop_, [this, alive = std::weak_ptr{alive_}] {
    if (!alive.expired()) later();
  });
}

void LogTeller::later() {
  timer_.expires_after(kMoment);
  timer_.async_wait([this, alive = std::weak_ptr{alive_}](ErrorCode e) {
    if (!e && !alive.expired()) flush();
  });
}

void LogTeller::flush() {
  std::vector<std::string> lines;
  wire::LogLines batch;
  {
    const std::lock_guard lock{mutex_};
    lines.swap(lines_);
    batch.dropped = std::exchange(dropped_, 0);
    bytes_ = 0;
    scheduled_ = false;
  }
  std::size_t bytes = 0;
  for (auto &line : lines) {
    bytes += line.size();
    batch.lines.push_back(std::move(line));
    if (bytes < kBatchBytes) continue;
    give(batch);
    bytes = 0;
  }
  if (!batch.lines.empty() || batch.dropped != 0) give(batch);
}

void LogTeller::give(wire::LogLines &batch) {
  if (!send_(batch)) {
    const std::lock_guard lock{mutex_};
    dropped_ += batch.lines.size() + batch.dropped;
  }
  batch = {};
}

// A timer may still be set by what is posted already; it is over in a moment.
void LogTeller::finish() {
  timer_.cancel();
  if (wanted_.exchange(false)) flush();
}

}  // namespace mansio::process
