// mansio/config.hpp: a plugin's options, and how it refuses values that it cannot use.
//
// The same code judges them twice: check() when a configuration is looked at, before anything is started, and the
// constructor. So an operator learns of a bad value with file and line from `mansio check`, and a reload that would
// fail never begins.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "mansio/abi.h"

namespace mansio::plugin {

inline std::string_view view(mansio_str s) { return s.n ? std::string_view{s.p, s.n} : std::string_view{}; }
inline std::string string(mansio_str s) { return std::string{view(s)}; }
inline mansio_str str(std::string_view s) { return {s.data(), s.size()}; }

// A value that cannot be used. The text goes on from the option's name and says what was expected:
// BadConfig{"mode", "is \"rw\", expected an octal number"}. Without an option: the options as a whole.
struct BadConfig : std::runtime_error {
  explicit BadConfig(const std::string &why) : std::runtime_error(why), text(why) {}
  BadConfig(const std::string &which, const std::string &why)
      : std::runtime_error(which + ' ' + why), option(which), text(why) {}
  std::string option, text;
};

// The options, which is all that a check() has. Accessors throw BadConfig on values that the host would not have let
// through.
class Config {
 public:
  explicit Config(const mansio_host *host)
      : host_(host),
        config_(get<mansio_host_config>("mansio.host.config/1")),
        problem_(get<mansio_host_problem>("mansio.host.problem/1")) {}

  const mansio_host *raw() const noexcept { return host_; }

  // configuration [any]
  std::string option(const char *name) const { return string(config_->get(host_, name)); }
  std::string fact(const char *name) const { return string(config_->fact(host_, name)); }
  bool flag(const char *name) const { return view(config_->get(host_, name)) == "true"; }
  std::int64_t integer(const char *name) const {  // also durations (ns) and sizes (bytes)
    const auto text = view(config_->get(host_, name));
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size())
      throw BadConfig{name, "is \"" + std::string{text} + "\", expected an integer"};
    return value;
  }
  std::int64_t duration(const char *name) const { return integer(name); }
  std::uint64_t size(const char *name) const { return static_cast<std::uint64_t>(integer(name)); }
  std::vector<std::string> list(const char *name) const { return split(view(config_->get(host_, name))); }
  std::vector<std::string> fact_list(const char *name) const { return split(view(config_->fact(host_, name))); }

  // [init] What BadConfig does, without ending anything; see Problems.
  void problem(const BadConfig &bad) const noexcept { problem_->report(host_, str(bad.option), str(bad.text)); }

 protected:
  template <class Table>
  const Table *get(const char *iface) const {
    const auto *table = static_cast<const Table *>(host_->get(host_, iface));
    if (!table) throw BadConfig{std::string{"this host does not offer "} + iface};
    return table;
  }

  const mansio_host *host_;

 private:
  static std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
      const auto comma = std::min(text.find(','), text.size());
      parts.emplace_back(text.substr(0, comma));
      text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return parts;
  }

  const mansio_host_config *config_;
  const mansio_host_problem *problem_;
};

// All that is wrong at once, instead of the first of it:
//
//   Problems problems{config};
//   problems.of([&] { o.port = parse_port(config); });  // whatever throws BadConfig is reported
//   problems.of([&] { o.mode = parse_mode(config); });
//   problems.end();                                     // throws if there was any
class Problems {
 public:
  struct Reported : BadConfig {
    Reported() : BadConfig("the options are refused") {}
  };

  explicit Problems(const Config &config) : config_(config) {}
  template <class F>
  void of(F f) {
    try {
      f();
    } catch (const Reported &) {
      any_ = true;
    } catch (const BadConfig &bad) {
      config_.problem(bad);
      any_ = true;
    }
  }
  void end() const {
    if (any_) throw Reported{};
  }

 private:
  const Config config_;
  bool any_ = false;
};

}  // namespace mansio::plugin
