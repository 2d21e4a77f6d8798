// mansio/loop.hpp: C++20 coroutines over the host's reactor, header-only, for plugin authors.
//
//   Task<> serve(Host host, Cancel &cancel) {
//     co_await Sleep{host, 1'000'000'000, &cancel};
//     const auto answers = co_await Resolve{host, {{"example.com", MANSIO_DNS_MX}}, &cancel};
//   }
//   spawn(serve(host, cancel), [](const char *what) { ... });
//
// Everything runs on the instance's loop, so nothing here locks. One operation is one coroutine at a time: it waits
// in one place, which is why a Cancel knows one Waiter only. Waiting ends by the event, by its deadline (monotonic
// ns as Host::now()) or by Cancel::request(), and says which (Wake); nothing is left behind in the host then.
// Sockets are in mansio/socket.hpp, TLS in mansio/tls.hpp.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mansio/abi.h"
#include "mansio/plugin.hpp"

namespace mansio::plugin {

// ---- tasks -------------------------------------------------------------------------------------------------------

// A lazy coroutine: it runs when awaited, and resumes its awaiter by symmetric transfer (no stack growth).
template <class T = void>
class Task;

namespace detail {

struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> h) const noexcept {
    return h.promise().awaiter;
  }
  void await_resume() const noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> awaiter = std::noop_coroutine();
  std::exception_ptr error;
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U &&u) {
    value.emplace(std::forward<U>(u));
  }
  T take() {
    if (error) std::rethrow_exception(error);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void take() const {
    if (error) std::rethrow_exception(error);
  }
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  explicit Task(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}
  Task(Task &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task &operator=(Task &&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
    handle_.promise().awaiter = awaiter;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

template <class T>
Task<T> detail::Promise<T>::get_return_object() {
  return Task<T>{std::coroutine_handle<Promise<T>>::from_promise(*this)};
}
inline Task<void> detail::Promise<void>::get_return_object() {
  return Task<void>{std::coroutine_handle<Promise<void>>::from_promise(*this)};
}

namespace detail {
struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }  // `failed` of spawn() threw
  };
};
}  // namespace detail

// Starts `task` at once and owns it until it ends. `failed(const char *what)` gets what it throws, and must not throw.
template <class F>
detail::Detached spawn(Task<> task, F failed) {
  try {
    co_await std::move(task);
  } catch (const std::exception &e) {
    failed(e.what());
  } catch (...) {
    failed("unknown exception");
  }
}

// ---- waiting -----------------------------------------------------------------------------------------------------

enum class Wake { Ready, Timeout, Cancelled };

class Waiter {
 public:
  virtual void cancelled() = 0;

 protected:
  ~Waiter() = default;
};

// Ends whatever its operation waits for, now and from now on.
class Cancel {
 public:
  Cancel() = default;
  Cancel(const Cancel &) = delete;
  Cancel &operator=(const Cancel &) = delete;

  void request() {
    requested_ = true;
    if (waiter_) std::exchange(waiter_, nullptr)->cancelled();
  }
  bool requested() const { return requested_; }

  void waits(Waiter *waiter) { waiter_ = waiter; }  // for awaitables
  void done() { waiter_ = nullptr; }

 private:
  bool requested_ = false;
  Waiter *waiter_ = nullptr;
};

// Readiness of one descriptor. Its timer is re-armed lazily: a wait whose deadline lies after the armed one leaves
// the timer alone, so a busy connection with generous time-outs costs no timer operations at all.
class FdWatch final : Waiter {
 public:
  explicit FdWatch(Host host) : host_(host) {}
  FdWatch(const FdWatch &) = delete;
  FdWatch &operator=(const FdWatch &) = delete;
  ~FdWatch() { detach(); }

  void attach(int fd) { fd_ = fd; }
  void detach() {  // call before closing the descriptor
    if (timer_) host_.cancel_timer(std::exchange(timer_, 0));
    if (fd_ >= 0) host_.forget(std::exchange(fd_, -1));
  }
  // The operation that waits from now on; nullptr between operations.
  void set_cancel(Cancel *cancel) { cancel_ = cancel; }
  const Host &host() const { return host_; }

  struct Awaiter {
    FdWatch &watch;
    int events;
    std::int64_t deadline;
    bool await_ready() const { return watch.cancel_ && watch.cancel_->requested(); }
    bool await_suspend(std::coroutine_handle<> h) { return watch.suspend(h, events, deadline); }
    Wake await_resume() const { return watch.cancel_ && watch.cancel_->requested() ? Wake::Cancelled : watch.wake_; }
  };
  Awaiter wait(int events, std::int64_t deadline) { return {*this, events, deadline}; }

 private:
  bool suspend(std::coroutine_handle<> h, int events, std::int64_t deadline) {
    wake_ = Wake::Ready;
    if (!host_.watch(fd_, events, &ready, this)) {
      wake_ = Wake::Timeout;  // the host cannot watch it; never spin on that
      return false;
    }
    waiting_ = h;
    deadline_ = deadline;
    if (cancel_) cancel_->waits(this);
    if (!timer_ || armed_for_ > deadline) arm();
    return true;
  }
  void arm() {
    if (timer_) host_.cancel_timer(timer_);
    armed_for_ = deadline_;
    timer_ = host_.timer(std::max<std::int64_t>(deadline_ - host_.now(), 1), &fire, this);
  }
  void resume(Wake wake) {
    wake_ = wake;
    if (cancel_) cancel_->done();
    std::exchange(waiting_, nullptr).resume();  // may destroy *this
  }
  void cancelled() override {
    if (!waiting_) return;
    host_.forget(fd_);
    resume(Wake::Cancelled);
  }
  static void ready(void *arg, int) {
    auto &self = *static_cast<FdWatch *>(arg);
    if (self.waiting_) self.resume(Wake::Ready);
  }
  static void fire(void *arg) {
    auto &self = *static_cast<FdWatch *>(arg);
    self.timer_ = 0;
    if (!self.waiting_) return;
    if (self.host_.now() < self.deadline_) return self.arm();
    self.host_.forget(self.fd_);
    self.resume(Wake::Timeout);
  }

  Host host_;
  int fd_ = -1;
  Cancel *cancel_ = nullptr;
  std::uint64_t timer_ = 0;
  std::int64_t armed_for_ = 0, deadline_ = 0;
  std::coroutine_handle<> waiting_;
  Wake wake_ = Wake::Ready;
};

// co_await Sleep{host, ns, &cancel} -> Wake::Timeout or Wake::Cancelled.
class Sleep final : Waiter {
 public:
  Sleep(Host host, std::int64_t after_ns, Cancel *cancel = nullptr) : host_(host), after_(after_ns), cancel_(cancel) {}
  Sleep(const Sleep &) = delete;
  Sleep &operator=(const Sleep &) = delete;

  bool await_ready() const { return cancel_ && cancel_->requested(); }
  void await_suspend(std::coroutine_handle<> h) {
    waiting_ = h;
    if (cancel_) cancel_->waits(this);
    timer_ = host_.timer(
        after_,
        [](void *arg) {
          auto &self = *static_cast<Sleep *>(arg);
          if (self.cancel_) self.cancel_->done();
          self.waiting_.resume();
        },
        this);
  }
  Wake await_resume() const { return cancel_ && cancel_->requested() ? Wake::Cancelled : Wake::Timeout; }

 private:
  void cancelled() override {
    host_.cancel_timer(timer_);
    waiting_.resume();
  }
  Host host_;
  std::int64_t after_;
  Cancel *cancel_;
  std::uint64_t timer_ = 0;
  std::coroutine_handle<> waiting_;
};

// ---- DNS ---------------------------------------------------------------------------------------------------------

struct Question {
  std::string name;
  std::uint16_t type;  // MANSIO_DNS_*
};

// co_await Resolve{host, questions, &cancel} -> one DnsAnswer a question, all asked at once. The host's service sets
// the time limit. Cancelled questions answer DEFER; the host's late callbacks then find nobody.
class Resolve final : Waiter {
 public:
  Resolve(Host host, std::vector<Question> questions, Cancel *cancel = nullptr)
      : host_(host), questions_(std::move(questions)), cancel_(cancel) {}
  Resolve(const Resolve &) = delete;
  Resolve &operator=(const Resolve &) = delete;

  bool await_ready() {
    state_ = std::make_shared<State>();
    state_->answers.resize(questions_.size());
    state_->left = questions_.size();
    return questions_.empty() || (cancel_ && cancel_->requested());
  }
  void await_suspend(std::coroutine_handle<> h) {
    state_->waiter = this;
    waiting_ = h;
    if (cancel_) cancel_->waits(this);
    for (std::size_t i = 0; i < questions_.size(); ++i)
      host_.query(questions_[i].name, questions_[i].type, &answered, new Slot{state_, i});
  }
  std::vector<DnsAnswer> await_resume() { return std::move(state_->answers); }

 private:
  struct State {
    std::vector<DnsAnswer> answers;
    std::size_t left = 0;
    Resolve *waiter = nullptr;  // null once nobody waits
  };
  struct Slot {
    std::shared_ptr<State> state;
    std::size_t index;
  };
  static void answered(void *arg, mansio_status status, mansio_str text, const mansio_dns_record *records,
                       std::size_t n, std::size_t stride) {
    const std::unique_ptr<Slot> slot{static_cast<Slot *>(arg)};
    auto &state = *slot->state;
    if (!state.waiter) return;
    try {
      state.answers[slot->index] = DnsAnswer::copy(status, text, records, n, stride);
    } catch (const std::exception &) {
      state.answers[slot->index] = DnsAnswer{};  // out of memory: DEFER
    }
    if (--state.left == 0) state.waiter->resume();
  }
  void cancelled() override { resume(); }
  void resume() {
    state_->waiter = nullptr;
    if (cancel_) cancel_->done();
    waiting_.resume();
  }

  Host host_;
  std::vector<Question> questions_;
  Cancel *cancel_;
  std::shared_ptr<State> state_;
  std::coroutine_handle<> waiting_;
};

// ---- tables ------------------------------------------------------------------------------------------------------

namespace detail {
// One question to the host, and the wait for its answer. One that was cancelled is not found by the host's late
// callback.
template <class Answer>
class AnswerWait : Waiter {
 public:
  AnswerWait(const AnswerWait &) = delete;
  AnswerWait &operator=(const AnswerWait &) = delete;

  bool await_ready() const { return cancel_ && cancel_->requested(); }
  Answer await_resume() { return std::move(answer_); }

 protected:
  // `if_cancelled`: its answer then.
  AnswerWait(Cancel *cancel, Answer if_cancelled) : cancel_(cancel), answer_(std::move(if_cancelled)) {}
  ~AnswerWait() = default;

  // `ask(arg)` asks the host, whose callback calls answered(arg, ...) once; never if `ask` throws.
  template <class Ask>
  void wait(std::coroutine_handle<> h, Ask ask) {
    waiting_ = h;
    const auto link = link_ = std::make_shared<AnswerWait *>(this);
    auto arg = std::make_unique<Link>(link);
    ask(static_cast<void *>(arg.get()));
    arg.release();
    if (*link && cancel_) cancel_->waits(this);  // else it was answered at once, and this is gone
  }
  // `read(Answer &)` takes the answer down, and does not throw.
  template <class Read>
  static void answered(void *arg, Read read) {
    const std::unique_ptr<Link> link{static_cast<Link *>(arg)};
    auto *self = **link;
    if (!self) return;
    read(self->answer_);
    self->resume();
  }

 private:
  using Link = std::shared_ptr<AnswerWait *>;  // to null once nobody waits
  void cancelled() override { resume(); }
  void resume() {
    *link_ = nullptr;
    if (cancel_) cancel_->done();
    waiting_.resume();
  }

  Cancel *cancel_;
  Link link_;
  Answer answer_;
  std::coroutine_handle<> waiting_;
};
}  // namespace detail

// co_await TableLookup{host, table, key, &cancel} -> the Reply of a configured table: OK with values, NOT_FOUND, or
// anything else for "try later". Cancelled: CANCELLED, and the host's late callback finds nobody.
class TableLookup final : public detail::AnswerWait<Reply> {
 public:
  TableLookup(Host host, std::string table, std::string key, Cancel *cancel = nullptr)
      : AnswerWait(cancel, Reply{MANSIO_CANCELLED}), host_(host), table_(std::move(table)), key_(std::move(key)) {}

  void await_suspend(std::coroutine_handle<> h) {
    wait(h, [this](void *arg) { host_.lookup(table_, key_, &replied, arg); });
  }

 private:
  static void replied(void *arg, const mansio_reply *reply) {
    answered(arg, [reply](Reply &to) {
      try {
        to = Reply::copy(reply);
      } catch (const std::exception &) {
        to = defer("out of memory");
      }
    });
  }

  Host host_;
  std::string table_, key_;
};

// ---- answers -----------------------------------------------------------------------------------------------------

// Completes `token` with what `task` returns, or with MANSIO_INTERNAL and what it throws: a lookup as a coroutine is
//   void lookup(LookupRequest request, Token token) { answer(std::move(token), find(std::move(request))); }
inline void answer(Token token, Task<Reply> task) {
  auto shared = std::make_shared<Token>(std::move(token));
  spawn(
      [](std::shared_ptr<Token> to, Task<Reply> from) -> Task<> {
        const auto reply = co_await std::move(from);
        to->complete(reply);
      }(shared, std::move(task)),
      [shared](const char *what) {
        shared->complete(Reply{MANSIO_INTERNAL, {4, 3, 0}, what});
      });
}

}  // namespace mansio::plugin
