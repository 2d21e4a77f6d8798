// mansio/permits.hpp: permits of the queue's limits for a plugin's own use (mansio/draft/services.h) as C++20,
// header-only.
//
//   const auto given = co_await TakePermits{permits_, {"campaign_rate_limit", "spring"}, 1, &cancel};
//   if (given.granted == 0) co_return defer("not now").retry(given.retry_ns);
//
// What a [[rate_limit]] allows a tenant, campaign, sender or source pool, mail and this use have together, in all
// processes. What is granted is used. Nothing to do with plugins that own limits (mansio/rate.hpp), but that one of
// those may own this one.
//
// The service is a draft: a plugin loads only where MANSIO_DRAFT_BUILD is the host's, and one whose kind is no draft
// says `static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;`.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "mansio/draft/services.h"
#include "mansio/loop.hpp"
#include "mansio/plugin.hpp"

namespace mansio::plugin {

struct Limit {
  std::string name;  // "tenant_rate_limit", "campaign_rate_limit", "sender_rate_limit" or "source_pool_rate_limit"
  std::string key;   // whose
};

struct Granted {
  std::uint32_t granted = 0;
  std::int64_t retry_ns = 0;  // of none: not before; -1: there is no such limit
};

// Handle on the service; copy it freely. Throws BadConfig where the host does not offer it.
class Permits {
 public:
  explicit Permits(Host host) : host_(host.raw()), table_(host.service<mansio_host_rate>("mansio.host.rate/1~draft")) {}

  // [any] `done` runs once, later, on the loop.
  void take(std::string_view limit, std::string_view key, std::uint32_t want, mansio_rate_fn done,
            void *arg) const noexcept {
    table_->take(host_, str(limit), str(key), want, done, arg);
  }
  // The same with a function of what was granted, which must not throw. May throw bad_alloc, and then nothing is taken.
  template <class F>
  void take(const Limit &limit, std::uint32_t want, F done) const {
    auto job = std::make_unique<F>(std::move(done));
    take(
        limit.name, limit.key, want,
        [](void *arg, std::uint32_t granted, std::int64_t retry) {
          const std::unique_ptr<F> mine{static_cast<F *>(arg)};
          (*mine)(Granted{granted, retry});
        },
        job.release());
  }

 private:
  const mansio_host *host_;
  const mansio_host_rate *table_;
};

// co_await TakePermits{permits, {limit, key}, want, &cancel} -> Granted. On the loop. Cancelled: none; what is granted
// afterwards is lost.
class TakePermits final : public detail::AnswerWait<Granted> {
 public:
  TakePermits(Permits permits, Limit limit, std::uint32_t want = 1, Cancel *cancel = nullptr)
      : AnswerWait(cancel, {}), permits_(permits), limit_(std::move(limit)), want_(want) {}

  void await_suspend(std::coroutine_handle<> h) {
    wait(h, [this](void *arg) { permits_.take(limit_.name, limit_.key, want_, &given, arg); });
  }

 private:
  static void given(void *arg, std::uint32_t granted, std::int64_t retry) {
    answered(arg, [&](Granted &to) { to = {granted, retry}; });
  }

  Permits permits_;
  Limit limit_;
  std::uint32_t want_;
};

}  // namespace mansio::plugin
