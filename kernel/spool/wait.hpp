// Event: coroutines wait, someone sets. Set once is set for ever; waiters resume on the loop.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/async_result.hpp>

#include <utility>
#include <vector>

#include "kernel/io/asio.hpp"

namespace mansio::spool {

class Event {
 public:
  Task<> wait() {
    if (set_) co_return;
    co_await asio::async_initiate<const asio::use_awaitable_t<> &, void()>(
        [this](auto handler) { waiters_.push_back(std::move(handler)); }, asio::use_awaitable);
  }
  void set(asio::io_context &loop) {
    set_ = true;
    for (auto &waiter : std::exchange(waiters_, {})) asio::post(loop, std::move(waiter));
  }
  bool is_set() const { return set_; }

 private:
  bool set_ = false;
  std::vector<asio::any_completion_handler<void()>> waiters_;
};

}  // namespace mansio::spool
