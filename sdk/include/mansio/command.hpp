// mansio/command.hpp: commands of a plugin for its operators (mansio/draft/services.h) as C++20, header-only.
//
//   class Quarantine {
//    public:
//     static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;  // of a plugin whose kind is no draft
//     explicit Quarantine(Host host) : commands_(host) {
//       commands_.add<&Quarantine::release>("release", "ID: lets a message go", this);
//     }
//     Reply release(const std::vector<std::string> &arguments) { return command_done("released " + arguments.at(0)); }
//    private:
//     Commands commands_;
//   };
//
// `mansio plugin call filter.NAME release ID` calls it, on the loop, in every process that has the instance. A function
// is either `Reply f(const std::vector<std::string> &)`, which answers at once, or `void f(std::vector<std::string>,
// Token)`, which answers later, as in mansio/plugin.hpp; answer(token, task) makes it a coroutine.
//
// The service is a draft: a plugin loads only where MANSIO_DRAFT_BUILD is the host's.
#pragma once

#include <cstddef>
#include <deque>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mansio/draft/services.h"
#include "mansio/plugin.hpp"

namespace mansio::plugin {

// What a command answers: a text, and lines below it.
inline Reply command_done(std::string text = {}, std::vector<std::string> lines = {}) {
  Reply r{MANSIO_OK, {}, std::move(text)};
  for (auto &line : lines) r.value(std::move(line));
  return r;
}
inline Reply command_failed(std::string text) { return Reply{MANSIO_FAIL, {}, std::move(text)}; }

// The commands of an instance, a member of its class: it stays as long as that does. Throws BadConfig where the host
// does not offer the service.
class Commands {
 public:
  explicit Commands(Host host)
      : host_(host), table_(host_.service<mansio_host_control>("mansio.host.control/1~draft")) {}
  Commands(const Commands &) = delete;
  Commands &operator=(const Commands &) = delete;

  // In the constructor of the plugin only. Throws std::invalid_argument where the host refuses the name.
  template <auto Method, class T>
  void add(const char *name, const char *help, T *self) {
    auto &entry = entries_.emplace_back(Entry{&host_, self});
    if (table_->command(host_.raw(), name, help, &run<Method, T>, &entry) == MANSIO_OK) return;
    entries_.pop_back();
    throw std::invalid_argument{std::string{"the command "} + (name ? name : "") + " is refused by the host"};
  }

 private:
  struct Entry {
    const Host *host;
    void *self;
  };
  template <auto Method, class T>
  static void run(void *arg, mansio_op op, const mansio_str *arguments, std::size_t n) {
    const auto &entry = *static_cast<Entry *>(arg);
    auto &self = *static_cast<T *>(entry.self);
    try {
      std::vector<std::string> copied;
      copied.reserve(n);
      for (std::size_t i = 0; i < n; ++i) copied.push_back(string(arguments[i]));
      if constexpr (requires { (self.*Method)(std::move(copied), Token{*entry.host, op}); })
        (self.*Method)(std::move(copied), Token{*entry.host, op});
      else
        entry.host->complete(op, (self.*Method)(copied));
    } catch (const std::exception &e) {
      // A Token that was given away has said so already; then this one is too late, and is not sent.
      if (entry.host->alive(op)) entry.host->complete(op, Reply{MANSIO_INTERNAL, {}, e.what()});
    }
  }

  Host host_;
  const mansio_host_control *table_;
  std::deque<Entry> entries_;  // they stay where they are
};

}  // namespace mansio::plugin
