// What a lookup ends in. Three outcomes, never two: that a server could not be asked says nothing about the key, so
// mail waits; "not found" is said only by a backend that was asked.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace mansio::lookup {

struct Answer {
  enum class Outcome { Found, NotFound, TryLater };
  Outcome outcome = Outcome::TryLater;
  std::vector<std::string> values;  // of Found, at least one
  std::string text;                 // of TryLater: why, for the log

  static Answer found(std::vector<std::string> values) { return {Outcome::Found, std::move(values), {}}; }
  static Answer found(std::string value) {
    Answer answer{Outcome::Found, {}, {}};
    answer.values.push_back(std::move(value));
    return answer;
  }
  static Answer not_found() { return {Outcome::NotFound, {}, {}}; }
  static Answer try_later(std::string why) { return {Outcome::TryLater, {}, std::move(why)}; }
};

}  // namespace mansio::lookup
