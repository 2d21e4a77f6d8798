// An Answer as the SDK's reply, and options that several lookup plugins read alike.
#pragma once

#include <chrono>
#include <utility>

#include "mansio/plugin.hpp"
#include "plugins/lookup-common/answer.hpp"

namespace mansio::lookup {

inline plugin::Reply reply(Answer &&answer) {
  switch (answer.outcome) {
    case Answer::Outcome::Found:
      return plugin::found_all(std::move(answer.values));
    case Answer::Outcome::NotFound:
      return plugin::not_found();
    case Answer::Outcome::TryLater:
      break;
  }
  return plugin::defer({4, 3, 0}, std::move(answer.text));
}

// A duration that may not be 0, such as a timeout.
inline std::chrono::nanoseconds positive_duration(const plugin::Config &config, const char *option) {
  const auto ns = config.duration(option);
  if (ns <= 0) throw plugin::BadConfig{option, "is 0, expected a time such as \"10s\""};
  return std::chrono::nanoseconds{ns};
}

}  // namespace mansio::lookup
