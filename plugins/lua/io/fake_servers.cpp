#include "plugins/lua/io/fake_servers.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace mansio::lua {
namespace {

// Nothing happens meanwhile, so whoever waits for what does not come has waited long enough.
class FakeStream final : public plugin::Stream {
 public:
  explicit FakeStream(std::unique_ptr<FakeServers::Conversation> conversation)
      : conversation_(std::move(conversation)) {}

  plugin::Task<plugin::IoResult> read_some(char *to, std::size_t n, std::int64_t) override {
    if (said_.empty()) hear({});
    if (said_.empty()) co_return plugin::IoResult{over_ ? plugin::IoStatus::Eof : plugin::IoStatus::Timeout};
    const auto got = std::min(n, said_.size());
    std::copy_n(said_.data(), got, to);
    said_.erase(0, got);
    co_return plugin::IoResult{plugin::IoStatus::Ok, got, 0};
  }
  plugin::Task<plugin::IoResult> write(std::span<const std::string_view> data, std::int64_t) override {
    plugin::IoResult all;
    for (const auto piece : data) {
      hear(piece);
      all.n += piece.size();
    }
    co_return all;
  }
  plugin::Task<plugin::IoResult> send_file(int, std::uint64_t, std::uint64_t, std::int64_t) override {
    co_return plugin::IoResult{plugin::IoStatus::Error, 0, ENOTSUP};
  }
  bool gone() const override { return over_ || !said_.empty(); }
  void set_cancel(plugin::Cancel *) override {}
  void close() override { over_ = true; }

 private:
  void hear(std::string_view text) {
    if (!over_) over_ = !conversation_->hear(text, said_);
  }

  std::unique_ptr<FakeServers::Conversation> conversation_;
  std::string said_;
  bool over_ = false;
};

}  // namespace

const FakeServers *FakeServers::of(const plugin::Host &host) {
  return static_cast<const FakeServers *>(host.raw()->get(host.raw(), kService));
}

std::unique_ptr<plugin::Stream> FakeServers::stream(std::unique_ptr<Conversation> conversation) {
  return std::make_unique<FakeStream>(std::move(conversation));
}

}  // namespace mansio::lua
