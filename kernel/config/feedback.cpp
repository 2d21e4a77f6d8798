#include "kernel/config/feedback.hpp"

#include <charconv>

#include "kernel/config/trimmed.hpp"

namespace mansio::config {
namespace {

std::optional<double> number(std::string_view text) {
  double n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n, std::chars_format::fixed);
  if (error != std::errc{} || end != text.data() + text.size() || !(n >= 0)) return std::nullopt;
  return n;
}

}  // namespace

std::optional<Feedback> parse_feedback(std::string_view text) {
  Feedback out;
  const auto slash = text.find('/');
  const auto amount = number(trimmed(text.substr(0, slash)));
  if (!amount) return std::nullopt;
  out.amount = *amount;
  if (slash != text.npos) {
    const auto over = trimmed(text.substr(slash + 1));
    if (over == "concurrency") {
      out.over = Feedback::Over::Concurrency;
    } else if (over == "sqrt_concurrency") {
      out.over = Feedback::Over::SqrtConcurrency;
    } else {
      const auto divisor = number(over);
      if (!divisor || *divisor <= 0) return std::nullopt;
      out.amount /= *divisor;
    }
  }
  if (out.amount > 1) return std::nullopt;
  return out;
}

}  // namespace mansio::config
