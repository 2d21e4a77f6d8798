// Dovecot's authentication client protocol, version 1: lines of fields between tabs. What a client says and what the
// server answers; pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mansio::dovecot {

// The client's first words. `client`: a number that no other connection of the server has.
std::string greeting(std::uint32_t client);

// What the server has to know of a client for its first step.
struct Question {
  std::uint32_t id = 0;
  std::string mechanism, service, address;  // address: "" = none
  bool secure = false;
  std::optional<std::string> response{};  // decoded
};
std::string auth_line(const Question &question);
std::string cont_line(std::uint32_t id, std::string_view response);
std::string cancel_line(std::uint32_t id);

struct Answer {
  enum class Kind : std::uint8_t {
    Version,    // `id` is the major number
    Mechanism,  // `text` is one that there is
    Done,       // the server's first words are over
    Ok,         // `user`; `data`, if there, is for the client and comes first
    Fail,       // `temporary`: nobody knows; `text` says more, if there is any
    Continue,   // `data` is a challenge
    Other,      // nothing that concerns us
    Bad         // no line of this protocol
  };
  Kind kind = Kind::Bad;
  std::uint32_t id = 0;
  std::string user, text;
  std::optional<std::string> data{};  // decoded
  bool temporary = false;
};
Answer parse_answer(std::string_view line);  // without its line end

}  // namespace mansio::dovecot
