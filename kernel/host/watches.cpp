#include "kernel/host/watches.hpp"

namespace mansio::host {

Watches::~Watches() {
  while (!entries_.empty()) forget(entries_.begin()->first);
}

bool Watches::watch(int fd, int events, Ready ready) {
  if (fd < 0 || !(events & (kReadable | kWritable))) return false;
  auto &entry = entries_[fd];
  if (!entry) {
    try {
      entry = std::make_shared<Entry>(loop_, fd);
    } catch (const boost::system::system_error &) {  // a file that is always ready, no descriptor, or no memory
      entries_.erase(fd);
      return false;
    }
  }
  for (std::size_t which : {0u, 1u})
    if ((events >> which & 1) && entry->directions[which].ready) return false;
  const auto shared = std::make_shared<Ready>(std::move(ready));
  for (std::size_t which : {0u, 1u}) {
    if (!(events >> which & 1)) continue;
    entry->directions[which].ready = shared;
    wait(entry, which);
  }
  return true;
}

void Watches::wait(const std::shared_ptr<Entry> &entry, std::size_t which) {
  auto &direction = entry->directions[which];
  if (direction.waiting) return;
  direction.waiting = true;
  using Descriptor = asio::posix::stream_descriptor;
  entry->descriptor.async_wait(which == 0 ? Descriptor::wait_read : Descriptor::wait_write, [entry, which](ErrorCode) {
    auto &mine = entry->directions[which];
    auto &other = entry->directions[1 - which];
    mine.waiting = false;
    if (!entry->open || !mine.ready) return;
    const auto ready = std::move(mine.ready);
    mine.ready = nullptr;
    if (other.ready == ready) other.ready = nullptr;
    (*ready)(1 << which);
  });
}

void Watches::forget(int fd) {
  const auto i = entries_.find(fd);
  if (i == entries_.end()) return;
  auto &entry = *i->second;
  entry.open = false;
  entry.descriptor.release();
  entries_.erase(i);
}

}  // namespace mansio::host
