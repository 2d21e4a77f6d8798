#include "kernel/host/operations.hpp"

namespace mansio::host {

std::uint64_t Operations::open(Operation operation, std::shared_ptr<const MessageSource> source,
                               std::shared_ptr<StageWork> work) {
  const std::lock_guard lock{mutex_};
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const auto index = free_.back();
  free_.pop_back();
  auto &s = slots_[index];
  if (++s.generation == 0) s.generation = 1;  // so that no number is 0
  s.open = s.alive = true;
  s.operation = std::move(operation);
  s.source = std::move(source);
  s.work = std::move(work);
  ++size_;
  return std::uint64_t{s.generation} << 32 | index;
}

void Operations::close(std::uint64_t op) {
  std::shared_ptr<const MessageSource> last;  // destroyed after the lock is released
  std::shared_ptr<StageWork> last_work;
  const std::lock_guard lock{mutex_};
  auto *s = const_cast<Slot *>(slot(op));
  if (!s) return;
  s->open = s->alive = false;
  last = std::move(s->source);
  last_work = std::move(s->work);
  s->operation = {};
  free_.push_back(static_cast<std::uint32_t>(op));
  --size_;
}

Operation Operations::take(std::uint64_t op) {
  auto operation = std::move(*find(op));
  close(op);
  return operation;
}

void Operations::no_more_alive(std::uint64_t op) {
  const std::lock_guard lock{mutex_};
  if (auto *s = const_cast<Slot *>(slot(op))) s->alive = false;
}

// Only the loop's thread changes the table, so it may look without the lock.
Operation *Operations::find(std::uint64_t op) {
  auto *s = const_cast<Slot *>(slot(op));
  return s ? &s->operation : nullptr;
}

std::vector<std::uint64_t> Operations::all() const {
  std::vector<std::uint64_t> ops;
  for (std::size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].open) ops.push_back(std::uint64_t{slots_[i].generation} << 32 | i);
  return ops;
}

bool Operations::alive(std::uint64_t op) const {
  const std::lock_guard lock{mutex_};
  const auto *s = slot(op);
  return s && s->alive;
}

std::optional<MessageId> Operations::message(std::uint64_t op) const {
  const std::lock_guard lock{mutex_};
  const auto *s = slot(op);
  return s ? std::optional{s->operation.message} : std::nullopt;
}

std::shared_ptr<const MessageSource> Operations::source(std::uint64_t op) const {
  const std::lock_guard lock{mutex_};
  const auto *s = slot(op);
  return s ? s->source : nullptr;
}

std::shared_ptr<StageWork> Operations::work(std::uint64_t op) const {
  const std::lock_guard lock{mutex_};
  const auto *s = slot(op);
  return s ? s->work : nullptr;
}

const Operations::Slot *Operations::slot(std::uint64_t op) const {
  const auto index = static_cast<std::uint32_t>(op);
  if (index >= slots_.size()) return nullptr;
  const auto &s = slots_[index];
  return s.open && s.generation == static_cast<std::uint32_t>(op >> 32) ? &s : nullptr;
}

void Inbox::put(std::function<void()> work) {
  {
    const std::lock_guard lock{state_->mutex};
    if (state_->closed) return;
    state_->work.push_back(std::move(work));
    if (state_->work.size() > 1) return;  // a wake-up is under way
  }
  asio::post(loop_, [state = state_] {
    std::vector<std::function<void()>> all;
    {
      const std::lock_guard lock{state->mutex};
      all.swap(state->work);
    }
    for (const auto &run : all) {
      {
        const std::lock_guard lock{state->mutex};
        if (state->closed) return;
      }
      run();
    }
  });
}

void Inbox::close() {
  std::vector<std::function<void()>> dropped;
  const std::lock_guard lock{state_->mutex};
  state_->closed = true;
  dropped.swap(state_->work);
}

}  // namespace mansio::host
