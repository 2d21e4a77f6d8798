// What the sink does wrong on purpose. A rule is read from the command line:
//
//   --reply STAGE[~text]:REPLY[:PROBABILITY]   RCPT:450:0.3   RCPT~bad@:550 5.1.1 nobody here   DATA_END:452 4.3.1 full
//   --drop  STAGE[~text][:PROBABILITY]         DATA_END:0.1   (closes without a reply)
//   --delay STAGE[~text]:TIME[:PROBABILITY]    CONNECT:2s
//
// Stages: CONNECT HELO (HELO, EHLO, LHLO) STARTTLS MAIL RCPT DATA BDAT DATA_END RSET QUIT. With ~text a rule is for
// those only whose argument holds that text; DATA_END in LMTP asks for each recipient, whose address is its argument.
// The first rule of a kind that matches and whose die falls right acts; a delay comes before a drop or a reply.
//
// Rules that smtp-sink's options make name a command instead of a stage, so that EHLO is not HELO: see add_commands().
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/result.hpp"

namespace mansio::cli::load {

enum class FaultKind : std::uint8_t { Reply, Drop, Delay, Log };

struct FaultRule {
  FaultKind kind = FaultKind::Reply;
  std::string stage, text;
  bool command = false;  // `stage` is a command as smtp-sink names it
  std::string reply;     // "450 4.0.0 as asked"
  std::chrono::nanoseconds delay{};
  double probability = 1;
  unsigned odds = 0;  // the delay is taken again as often as a die of 100 falls below it
};

Result<FaultRule> parse_fault(FaultKind kind, std::string_view spec);

// A rule for each of the commands in `list` ("ehlo, RCPT ."): CONNECT HELO EHLO LHLO MAIL RCPT VRFY DATA . RSET NOOP
// QUIT. `rule` is one without stage.
Result<std::vector<FaultRule>> command_rules(std::string_view list, const FaultRule &rule);
// "command:delay" or "command:delay:odds", as smtp-sink's -W has it.
Result<FaultRule> parse_delay(std::string_view spec);

struct Verdict {
  std::chrono::nanoseconds delay{};
  bool drop = false, log = false;
  const std::string *reply = nullptr;  // nullptr: answer as usual
};

class Faults {
 public:
  explicit Faults(std::uint64_t seed = 1) : random_(seed) {}
  void add(FaultRule rule) { rules_.push_back(std::move(rule)); }
  // `command`: what it is called on the wire, if not as the stage.
  Verdict judge(std::string_view stage, std::string_view argument, std::string_view command = {});

 private:
  std::vector<FaultRule> rules_;
  std::mt19937_64 random_;
};

}  // namespace mansio::cli::load
