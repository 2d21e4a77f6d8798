// World: the next hops of a simulation. A delivery is judged when it begins: how long it takes and how it ends.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/cli/simulate/scenario.hpp"

namespace mansio::cli::simulate {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ull + 0xD1B54A32D192ED03ull) {}
  std::uint64_t next();
  double unit() { return static_cast<double>(next() >> 11) / 9007199254740992.0; }  // [0, 1)
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  double exponential();  // of mean 1

 private:
  std::uint64_t state_;
};

enum class Ending : std::uint8_t { Delivered, Deferred, TooMuch, Rejected, NoConnection };  // TooMuch: beyond its rate

struct Verdict {
  Ending ending = Ending::Delivered;
  Nanos takes = 0;
};

class NextHop {
 public:
  NextHop(const DestinationSpec &spec, std::string name) : spec_(&spec), name_(std::move(name)) {}

  const std::string &name() const { return name_; }
  const DestinationSpec &spec() const { return *spec_; }
  // `now` from the scenario's beginning; the source pool by its name and by a small number, 0 if it has none.
  Verdict begin(Nanos now, Random &random, std::string_view pool, std::size_t number);
  void end(std::size_t number) { --of(number).connections; }

 private:
  struct Taken {
    std::uint32_t connections = 0;
    double full_at = 0;  // of the rate's bucket, in seconds
  };
  const Behaviour &behaviour(Nanos now) const;
  Taken &of(std::size_t pool);

  const DestinationSpec *spec_;
  std::string name_;
  Taken taken_;
  std::vector<Taken> by_pool_;
  std::vector<Nanos> avoid_until_;  // by host
};

}  // namespace mansio::cli::simulate
