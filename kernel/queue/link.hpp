// Link: where the queue's logic sends to. In a process it is a Channel; in tests it is a list of what was sent.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "kernel/io/channel.hpp"

namespace mansio::queue {

class Link {
 public:
  virtual ~Link() = default;
  // False: the peer is too far behind or gone, nothing was sent.
  virtual bool send_raw(std::uint16_t type, std::string_view payload, std::vector<io::UniqueFd> fds) = 0;
  virtual void close() {}  // nothing more is said or heard; what was said leaves as far as the peer takes it now

  template <class M>
  bool send(const M &message, std::vector<io::UniqueFd> fds = {}) {
    return send_raw(static_cast<std::uint16_t>(M::kType), encode(message), std::move(fds));
  }
};

class ChannelLink final : public Link {
 public:
  explicit ChannelLink(std::shared_ptr<io::Channel> channel) : channel_(std::move(channel)) {}
  bool send_raw(std::uint16_t type, std::string_view payload, std::vector<io::UniqueFd> fds) override {
    return channel_->send_raw(type, payload, std::move(fds));
  }
  void close() override {
    channel_->flush_now();
    channel_->close();
  }
  io::Channel &channel() { return *channel_; }

 private:
  std::shared_ptr<io::Channel> channel_;
};

}  // namespace mansio::queue
