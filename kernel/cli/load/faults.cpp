#include "kernel/cli/load/faults.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "kernel/cli/load/endpoint.hpp"

namespace mansio::cli::load {
namespace {

constexpr std::array<std::string_view, 10> kStages = {"CONNECT", "HELO", "STARTTLS", "MAIL", "RCPT",
                                                      "DATA",    "BDAT", "DATA_END", "RSET", "QUIT"};

constexpr std::array<std::string_view, 12> kCommands = {"CONNECT", "HELO", "EHLO", "LHLO", "MAIL", "RCPT",
                                                        "VRFY",    "DATA", ".",    "RSET", "NOOP", "QUIT"};

std::string upper(std::string_view text) {
  std::string out{text};
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return out;
}

std::optional<double> probability(std::string_view text) {
  double p = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), p);
  if (error != std::errc{} || end != text.data() + text.size() || !(p >= 0 && p <= 1)) return std::nullopt;
  return p;
}

bool reply_code(std::string_view text) {
  const auto digit = [&](std::size_t i, char least, char most) { return text[i] >= least && text[i] <= most; };
  return text.size() >= 3 && digit(0, '2', '5') && digit(1, '0', '9') && digit(2, '0', '9') &&
         (text.size() == 3 || text[3] == ' ');
}

}  // namespace

Result<FaultRule> parse_fault(FaultKind kind, std::string_view spec) {
  const auto bad = [&](std::string_view what) {
    return Error{Status::BadConfig, fmt::format("{}: {}", spec, what), {}};
  };
  FaultRule rule;
  rule.kind = kind;
  const auto colon = spec.find(':');
  const auto where = spec.substr(0, colon);
  auto rest = colon == std::string_view::npos ? std::string_view{} : spec.substr(colon + 1);
  const auto tilde = where.find('~');
  rule.stage = where.substr(0, tilde);
  if (tilde != std::string_view::npos) rule.text = where.substr(tilde + 1);
  if (std::ranges::find(kStages, rule.stage) == kStages.end()) {
    return bad(fmt::format("the stage is one of {}", fmt::join(kStages, " ")));
  }

  // The probability is what follows the last colon, if it is a number; for --drop it is all there is.
  const auto last = rest.rfind(':');
  const auto tail = kind == FaultKind::Drop          ? rest
                    : last == std::string_view::npos ? std::string_view{}
                                                     : rest.substr(last + 1);
  if (const auto p = probability(tail)) {
    rule.probability = *p;
    rest = kind == FaultKind::Drop ? std::string_view{} : rest.substr(0, last);
  }
  switch (kind) {
    case FaultKind::Drop:
      if (!rest.empty()) return bad("expected a probability from 0 to 1");
      break;
    case FaultKind::Delay: {
      const auto delay = parse_duration(rest);
      if (!delay) return bad("expected a time such as 250ms or 2s, and a probability from 0 to 1");
      rule.delay = *delay;
      break;
    }
    case FaultKind::Log:
      break;
    case FaultKind::Reply:
      if (!reply_code(rest)) return bad("expected a reply such as 450 or \"550 5.1.1 no such user\"");
      rule.reply = rest.size() == 3 ? fmt::format("{} {}.0.0 as asked", rest, rest[0]) : std::string{rest};
      break;
  }
  return rule;
}

Result<std::vector<FaultRule>> command_rules(std::string_view list, const FaultRule &like) {
  std::vector<FaultRule> rules;
  for (constexpr std::string_view kBetween = ", \t\r\n"; !list.empty();) {
    const auto from = std::min(list.find_first_not_of(kBetween), list.size());
    list.remove_prefix(from);
    const auto end = std::min(list.find_first_of(kBetween), list.size());
    if (end == 0) break;
    auto &rule = rules.emplace_back(like);
    rule.stage = upper(list.substr(0, end));
    rule.command = true;
    if (std::ranges::find(kCommands, rule.stage) == kCommands.end())
      return Error{Status::BadConfig, fmt::format("{}: expected one of {}", rule.stage, fmt::join(kCommands, " ")), {}};
    list.remove_prefix(end);
  }
  return rules;
}

Result<FaultRule> parse_delay(std::string_view spec) {
  FaultRule like;
  like.kind = FaultKind::Delay;
  const auto colon = std::min(spec.find(':'), spec.size());
  auto rest = spec.substr(std::min(colon + 1, spec.size()));
  const auto second = rest.find(':');
  const auto delay = parse_duration(rest.substr(0, second));
  bool good = delay.ok();
  if (second != std::string_view::npos) {
    const auto odds = rest.substr(second + 1);
    const auto [end, error] = std::from_chars(odds.data(), odds.data() + odds.size(), like.odds);
    good = good && error == std::errc{} && end == odds.data() + odds.size() && like.odds >= 1 && like.odds <= 99;
  }
  if (!good) return Error{Status::BadConfig, fmt::format("{}: expected command:delay or command:delay:odds", spec), {}};
  like.delay = *delay;
  auto rules = command_rules(spec.substr(0, colon), like);
  if (!rules) return rules.error();
  if (rules->size() != 1) return Error{Status::BadConfig, fmt::format("{}: expected one command", spec), {}};
  return std::move(rules->front());
}

Verdict Faults::judge(std::string_view stage, std::string_view argument, std::string_view command) {
  Verdict verdict;
  if (command.empty()) command = stage;
  for (const auto &rule : rules_) {
    if (rule.stage != (rule.command ? command : stage) || argument.find(rule.text) == std::string_view::npos) continue;
    if (rule.kind == FaultKind::Log) {
      verdict.log = true;
      continue;
    }
    const bool decided = verdict.drop || verdict.reply;
    if (rule.kind == FaultKind::Delay ? verdict.delay.count() != 0 : decided) continue;
    if (rule.probability < 1 && std::uniform_real_distribution<double>{}(random_) >= rule.probability) continue;
    switch (rule.kind) {
      case FaultKind::Delay:
        verdict.delay = rule.delay;
        while (rule.odds != 0 && std::uniform_int_distribution<unsigned>{0, 99}(random_) < rule.odds)
          verdict.delay += rule.delay;
        break;
      case FaultKind::Log:
        break;
      case FaultKind::Drop:
        verdict.drop = true;
        break;
      case FaultKind::Reply:
        verdict.reply = &rule.reply;
        break;
    }
  }
  return verdict;
}

}  // namespace mansio::cli::load
