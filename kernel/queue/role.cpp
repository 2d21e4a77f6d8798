#include "kernel/queue/role.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <set>

#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

// Before the deadline of a drain, so that the store is closed and the last acknowledgements leave in time.
constexpr Nanos kClosingTime = kSecond;

class QueueRole final : public process::Role {
 public:
  Result<void> prepare(process::RoleContext &context) override {
    context_ = &context;
    settings_ = &context.settings;
    files_ = io::system_files();
    const auto &s = context.settings;
    spool::StoreOptions options;
    options.directory = context.start.spool.empty() ? s.spool : context.start.spool;
    options.node = s.spool_settings.node;
    options.segment_size = s.spool_settings.segment_size;
    options.spare_segments = s.spool_settings.spare_segments;
    options.reserve_bytes = s.spool_settings.reserve;
    options.journal_sync_interval = s.spool_settings.outcome_sync_interval;
    auto store = spool::Store::open(context.loop, context.clock, context.log, *files_, options);
    if (!store) return store.error();
    store_ = std::move(*store);
    std::random_device random;
    core_ = std::make_unique<QueueCore>(context.clock, context.log, s, *store_,
                                        static_cast<std::uint64_t>(random()) << 32 | random());
    if (auto recovered = core_->recover(); !recovered) return recovered;
    core_->on_hung([this](const wire::Peer &peer, std::string_view reason) { context_->end_peer(peer, reason); });
    core_->on_wake([this] { schedule(); });
    core_->on_log_wanted([this](bool wanted) {
      if (context_->want_log) context_->want_log(wanted);
    });
    timer_ = std::make_unique<asio::steady_timer>(context.loop);
    store_->on_wanted([this](std::uint32_t segment, std::uint32_t epoch) { core_->wanted(segment, epoch); });
    store_->on_unadmitted([this](std::uint32_t segment, std::uint32_t epoch) { core_->unadmitted(segment, epoch); });
    store_->on_synced([this](std::uint64_t) {
      schedule();
      core_->synced();
    });
    return {};
  }

  void run() override { schedule(); }

  void attach(const wire::Peer &peer, std::shared_ptr<io::Channel> channel) override {
    forget_closed();
    const auto id = core_->attach(peer, std::make_shared<ChannelLink>(channel));
    if (!channel->open()) return;  // of a plugin that is configured no more
    if (peer.kind == wire::RoleKind::Host) hosts_.insert(id);
    if (auto &old = channels_[id]; old && old != channel) old->close();
    channels_[id] = channel;
    channel->start(
        [this, id](io::Message &message) {
          schedule();
          core_->receive(id, message);
        },
        [this, id, peer, weak = std::weak_ptr{channel}](std::string_view why) {
          const auto at = channels_.find(id);
          if (at == channels_.end() || at->second != weak.lock()) return;  // replaced meanwhile
          context_->log.debug("channel closed", {{"connection", id}, {"reason", why}});
          channels_.erase(at);
          core_->closed(id);
          if (context_->lost_peer) context_->lost_peer(peer);
          schedule();
        });
    schedule();
  }
  void attach_done() override {
    core_->attach_done();
    schedule();
  }
  void dead(const wire::Dead &dead) override {
    core_->dead(dead);
    schedule();
  }

  void draining(const wire::Peer &peer) override {
    core_->draining(peer);
    schedule();
  }
  void log_lines(const wire::LogLines &lines) override { core_->tell_log(lines); }
  // All but the spool's own shape changes in place.
  bool reload(const config::Settings &settings, std::uint32_t) override {
    const auto &a = settings.spool_settings, &b = settings_->spool_settings;
    if (settings.spool != settings_->spool || a.node != b.node || a.segment_size != b.segment_size ||
        a.spare_segments != b.spare_segments || a.reserve != b.reserve ||
        a.outcome_sync_interval != b.outcome_sync_interval)
      return false;
    settings_ = &settings;
    core_->reload(settings);
    schedule();
    return true;
  }

  void drain(Nanos deadline) override {
    drain_until_ = std::max(deadline - kClosingTime, context_->clock.mono());
    draining_ = true;
    core_->drain();
    schedule();
  }

  void stats(const std::function<void(std::string, double)> &put) override {
    core_->stats(put);
    put("mansio_queue_longest_stall_seconds", static_cast<double>(longest_stall_) / kSecond);
    longest_stall_ = 0;  // since it was last asked for
  }

 private:
  // One turn for all that the loop handed in meanwhile.
  void schedule() {
    if (scheduled_ || finished_) return;
    scheduled_ = true;
    wanted_ = context_->clock.mono();
    asio::post(context_->loop, [this] {
      scheduled_ = false;
      turn();
    });
  }

  void turn() {
    if (finished_) return;
    const bool more = core_->turn();
    const auto now = context_->clock.mono();
    // From when it was wanted: what else the loop did meanwhile held it up as well.
    longest_stall_ = std::max(longest_stall_, now - wanted_);
    if (draining_ && (core_->drained() || now >= drain_until_)) return finish();
    if (more) return schedule();
    auto at = core_->wake_at();
    if (draining_) at = std::min(at, drain_until_);
    at = std::max(at, now + kMillisecond);
    timer_->expires_after(std::chrono::nanoseconds(at - now));
    timer_->async_wait([this, at](ErrorCode e) {
      if (e) return;
      schedule();
      wanted_ = std::min(wanted_, at);
    });
  }

  void finish() {
    finished_ = true;
    timer_->cancel();
    if (const auto stopped = core_->stop(); !stopped)
      context_->log.error("the spool was not closed cleanly", {{"error", stopped.error().text}});
    // What plugins are told at the end may take a moment to leave; whoever runs us sees to it and closes.
    for (auto &[id, channel] : channels_) {
      channel->flush_now();
      if (!hosts_.contains(id)) channel->close();
    }
    forget_closed();
    context_->finished();
  }

  void forget_closed() {
    std::erase_if(channels_, [](const auto &c) { return !c.second->open(); });
    std::erase_if(hosts_, [this](ConnectionId id) { return !channels_.contains(id); });
  }

  process::RoleContext *context_ = nullptr;
  const config::Settings *settings_ = nullptr;
  std::unique_ptr<io::FileSystem> files_;
  std::unique_ptr<spool::Store> store_;
  std::unique_ptr<QueueCore> core_;
  std::unique_ptr<asio::steady_timer> timer_;
  std::map<ConnectionId, std::shared_ptr<io::Channel>> channels_;
  std::set<ConnectionId> hosts_;  // of them: those of plugins
  Nanos drain_until_ = 0, longest_stall_ = 0, wanted_ = 0;
  bool scheduled_ = false, draining_ = false, finished_ = false;
};

}  // namespace

std::unique_ptr<process::Role> make_role() { return std::make_unique<QueueRole>(); }

}  // namespace mansio::queue
