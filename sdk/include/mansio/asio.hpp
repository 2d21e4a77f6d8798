// mansio/asio.hpp: the host's services as asynchronous operations of Asio, header-only, for plugins that run an Asio
// loop of their own. Not needed by any other header; yours to have is Boost.Asio (1.81 or later), or Asio without Boost
// where MANSIO_ASIO_STANDALONE is defined.
//
//   class Own {
//    public:
//     explicit Own(Host host) : asio_(host, loop_.get_executor()), thread_([this] { loop_.run(); }) {}
//     ~Own() {
//       work_.reset();
//       loop_.stop();
//       thread_.join();  // then nothing of yours runs any more, and what waits for the host is dropped
//     }
//     void lookup(LookupRequest request, Token token) { answer_on(loop_, std::move(token), find(std::move(request))); }
//    private:
//     boost::asio::awaitable<Reply> find(LookupRequest request) {
//       const auto mx = co_await asio_.async_query(request.key, MANSIO_DNS_MX, boost::asio::use_awaitable);
//       ...
//     }
//     boost::asio::io_context loop_;
//     boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{loop_.get_executor()};
//     AsioHost asio_;
//     std::thread thread_;
//   };
//
// Each takes any completion token, and completes once, on the handler's associated executor (else the one given to
// AsioHost), never inside the call. While the host has a question, it counts as work of that executor. The services
// know no cancellation: what is asked is answered, and each has its own time limit. Timers are Asio's.
#pragma once

#ifdef MANSIO_ASIO_STANDALONE
#include <asio/any_io_executor.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#else
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#endif

#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "mansio/permits.hpp"
#include "mansio/plugin.hpp"
#include "mansio/submit.hpp"

namespace mansio::plugin {

#ifdef MANSIO_ASIO_STANDALONE
namespace net = ::asio;
#else
namespace net = ::boost::asio;
#endif

namespace detail {

class AsioWaits;

// A question that the host has: whose answer it is.
struct AsioWait {
  explicit AsioWait(AsioWaits &waits) : all(waits) {}
  AsioWait(const AsioWait &) = delete;
  AsioWait &operator=(const AsioWait &) = delete;
  virtual ~AsioWait() = default;
  AsioWaits &all;
};

// Those that are not answered. Any thread.
class AsioWaits {
 public:
  void add(std::unique_ptr<AsioWait> wait) {
    const std::lock_guard lock{mutex_};
    auto *const key = wait.get();
    waits_.emplace(key, std::move(wait));
  }
  std::unique_ptr<AsioWait> take(AsioWait *wait) {
    const std::lock_guard lock{mutex_};
    const auto node = waits_.extract(wait);
    return node.empty() ? nullptr : std::move(node.mapped());
  }

 private:
  std::mutex mutex_;
  std::unordered_map<AsioWait *, std::unique_ptr<AsioWait>> waits_;
};

template <class Result>
struct AsioWaitFor : AsioWait {
  using AsioWait::AsioWait;
  virtual void deliver(Result result) = 0;

  // What a C callback got: to the handler.
  template <class Make>
  static void answered(void *arg, Make make) noexcept {
    auto *const key = static_cast<AsioWaitFor *>(arg);
    const auto wait = key->all.take(key);
    if (!wait) return;
    try {
      static_cast<AsioWaitFor &>(*wait).deliver(make());
    } catch (...) {
      // Out of memory: the handler is destroyed without being called, and with it a Token, which says so.
    }
  }
};

template <class Result, class Handler>
class AsioWaitOf final : public AsioWaitFor<Result> {
 public:
  AsioWaitOf(AsioWaits &waits, Handler handler, const net::any_io_executor &otherwise)
      : AsioWaitFor<Result>(waits),
        handler_(std::move(handler)),
        work_(net::get_associated_executor(handler_, otherwise)) {}
  void deliver(Result result) override {
    const auto executor = work_.get_executor();
    net::post(executor, [handler = std::move(handler_), result = std::move(result)]() mutable {
      std::move(handler)(std::move(result));
    });
  }

 private:
  Handler handler_;
  net::executor_work_guard<net::associated_executor_t<Handler, net::any_io_executor>> work_;
};

}  // namespace detail

// A member of the plugin's class, behind its io_context and before its threads: these must have ended when it goes.
class AsioHost {
 public:
  AsioHost(Host host, net::any_io_executor executor) : host_(host), executor_(std::move(executor)) {}
  AsioHost(const AsioHost &) = delete;
  AsioHost &operator=(const AsioHost &) = delete;

  // void(DnsAnswer)
  template <class CompletionToken>
  auto async_query(std::string name, std::uint16_t type, CompletionToken &&token) {
    return net::async_initiate<CompletionToken, void(DnsAnswer)>(
        [this](auto &&handler, const std::string &asked, std::uint16_t what) {
          begin<DnsAnswer>(std::forward<decltype(handler)>(handler), [&](void *arg) {
            host_.query(
                asked, what,
                [](void *wait, mansio_status status, mansio_str text, const mansio_dns_record *records, std::size_t n,
                   std::size_t stride) {
                  detail::AsioWaitFor<DnsAnswer>::answered(
                      wait, [&] { return DnsAnswer::copy(status, text, records, n, stride); });
                },
                arg);
          });
        },
        token, std::move(name), type);
  }

  // void(Reply): of a configured table; OK with values, NOT_FOUND, or anything else for "try later".
  template <class CompletionToken>
  auto async_lookup(std::string table, std::string key, CompletionToken &&token) {
    return net::async_initiate<CompletionToken, void(Reply)>(
        [this](auto &&handler, const std::string &where, const std::string &what) {
          begin<Reply>(std::forward<decltype(handler)>(handler), [&](void *arg) {
            host_.lookup(
                where, what,
                [](void *wait, const mansio_reply *reply) {
                  detail::AsioWaitFor<Reply>::answered(wait, [&] { return Reply::copy(reply); });
                },
                arg);
          });
        },
        token, std::move(table), std::move(key));
  }

  // void(Submitted)
  template <class CompletionToken>
  auto async_submit(Submitter submitter, Submission mail, CompletionToken &&token) {
    return net::async_initiate<CompletionToken, void(Submitted)>(
        [this](auto &&handler, Submitter with, const Submission &what) {
          begin<Submitted>(std::forward<decltype(handler)>(handler), [&](void *arg) {
            with.submit(
                what,
                [](void *wait, mansio_status status, mansio_str text) {
                  detail::AsioWaitFor<Submitted>::answered(wait, [&] { return Submitted{status, string(text)}; });
                },
                arg);
          });
        },
        token, submitter, std::move(mail));
  }

  // void(Granted)
  template <class CompletionToken>
  auto async_take(Permits permits, Limit limit, std::uint32_t want, CompletionToken &&token) {
    return net::async_initiate<CompletionToken, void(Granted)>(
        [this](auto &&handler, Permits of, const Limit &what, std::uint32_t most) {
          begin<Granted>(std::forward<decltype(handler)>(handler), [&](void *arg) {
            of.take(
                what.name, what.key, most,
                [](void *wait, std::uint32_t granted, std::int64_t retry) {
                  detail::AsioWaitFor<Granted>::answered(wait, [&] { return Granted{granted, retry}; });
                },
                arg);
          });
        },
        token, permits, std::move(limit), want);
  }

  const Host &host() const { return host_; }

 private:
  template <class Result, class Handler, class Ask>
  void begin(Handler &&handler, Ask ask) {
    using Wait = detail::AsioWaitOf<Result, std::decay_t<Handler>>;
    auto wait = std::make_unique<Wait>(waits_, std::forward<Handler>(handler), executor_);
    detail::AsioWaitFor<Result> *const arg = wait.get();
    waits_.add(std::move(wait));
    try {
      ask(arg);
    } catch (...) {
      waits_.take(arg);
      throw;
    }
  }

  Host host_;
  net::any_io_executor executor_;
  detail::AsioWaits waits_;
};

#if defined(BOOST_ASIO_HAS_CO_AWAIT) || defined(ASIO_HAS_CO_AWAIT)
// Completes `token` with what `task` returns, or with MANSIO_INTERNAL and what it throws. `task` runs on `context`, an
// executor or io_context.
template <class Context>
void answer_on(Context &&context, Token token, net::awaitable<Reply> task) {
  const auto shared = std::make_shared<Token>(std::move(token));
  net::co_spawn(
      std::forward<Context>(context),
      [](std::shared_ptr<Token> to, net::awaitable<Reply> from) -> net::awaitable<void> {
        const auto reply = co_await std::move(from);
        to->complete(reply);
      }(shared, std::move(task)),
      [shared](std::exception_ptr error) {
        if (!error) return;
        try {
          std::rethrow_exception(error);
        } catch (const std::exception &e) {
          shared->complete(Reply{MANSIO_INTERNAL, {4, 3, 0}, e.what()});
        } catch (...) {
          shared->complete(Reply{MANSIO_INTERNAL, {4, 3, 0}, "unknown exception"});
        }
      });
}
#endif

}  // namespace mansio::plugin
