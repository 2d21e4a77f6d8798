#include "kernel/host/running.hpp"

#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <iterator>

namespace mansio::host {
namespace {

constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// Whose code this thread is in. Read in signal handlers: it is the program's own, so that to reach it takes no memory.
thread_local std::uint64_t code_of_this_thread = 0;

// Signals are the process's, and so is what their handler needs: set once by the one role of a process that has one.
struct LastWords {
  process::SharedMemory *shared = nullptr;
  std::uint32_t slot = 0;
  struct sigaction before[std::size(kFatal)] = {};
};
LastWords last_words;
std::atomic<const LastWords *> saying{nullptr};
// They were: the loop, which runs on for a moment, and what exit() still does change nothing any more.
std::atomic<bool> last_word_said{false};

void say() {
  const auto *const words = saying.load();
  if (words && !last_word_said.exchange(true)) words->shared->in_code_of(words->slot, code_of_this_thread);
}

// Whatever would have become of the signal does: a sanitizer reports it, the system writes a core. A faulty instruction
// faults again when we return; what somebody sent has to be sent again.
void on_fatal(int signal, siginfo_t *info, void *) {
  say();
  for (std::size_t i = 0; i < std::size(kFatal); ++i)
    if (kFatal[i] == signal) ::sigaction(signal, &last_words.before[i], nullptr);
  if (info->si_code <= 0) ::raise(signal);
}

}  // namespace

void Running::show(process::SharedMemory &shared, std::uint32_t slot, bool last_words_too) {
  shared_ = &shared;
  slot_ = slot;
  if (!last_words_too) return;
  last_words_ = true;
  last_words.shared = &shared;
  last_words.slot = slot;
  saying = &last_words;
  struct sigaction action = {};
  action.sa_sigaction = on_fatal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < std::size(kFatal); ++i) ::sigaction(kFatal[i], &action, &last_words.before[i]);
  std::atexit(say);
}

Running::~Running() {
  if (!last_words_) return;
  saying = nullptr;
  for (std::size_t i = 0; i < std::size(kFatal); ++i) ::sigaction(kFatal[i], &last_words.before[i], nullptr);
}

void Running::hangs() const {
  const auto *code = who();
  code_of_this_thread = code ? code->instance : 0;
  if (!shared_) return;
  shared_->in_code_of(slot_, code_of_this_thread);
  shared_->hangs(slot_);
}

const Running::Code *Running::enter(const Code *code) {
  const auto *outer = who();
  who_.store(code, std::memory_order_release);
  code_of_this_thread = code ? code->instance : 0;
  if (shared_ && !last_word_said.load(std::memory_order_relaxed)) shared_->in_code_of(slot_, code_of_this_thread);
  return outer;
}

Running::ThreadScope::ThreadScope(const Code &code) { code_of_this_thread = code.instance; }
Running::ThreadScope::~ThreadScope() { code_of_this_thread = 0; }

}  // namespace mansio::host
