#include "plugins/filter-dspam/answer.hpp"

#include <algorithm>
#include <utility>

#include "plugins/common/ascii.hpp"

namespace mansio::dspam {
namespace {

constexpr std::size_t kReplyLines = 100, kMessageLines = 10'000;
constexpr std::size_t kLongestText = 300, kLongestWord = 64, kLongestNumber = 16, kLongestSignature = 127;
constexpr std::string_view kResult = "X-DSPAM-Result: ", kClassification = "X-Daemon-Classification: ";

bool is_number(std::string_view text) {
  if (text.empty() || text.size() > kLongestNumber || !ascii::digit(text.front()) || !ascii::digit(text.back()))
    return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return ascii::digit(c) || c == '.'; }) &&
         std::count(text.begin(), text.end(), '.') <= 1;
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= kLongestWord && std::all_of(text.begin(), text.end(), [](char c) {
    return ascii::letter(c) || ascii::digit(c) || c == '-' || c == '_';
  });
}

bool is_reply(std::string_view line) {
  return line.size() >= 3 && line[0] >= '2' && line[0] <= '5' && ascii::digit(line[1]) && ascii::digit(line[2]) &&
         (line.size() == 3 || line[3] == ' ' || line[3] == '-');
}

std::string printable(std::string_view text) {
  std::string out{text.substr(0, kLongestText)};
  for (auto &c : out)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  return out;
}

// The value after `name`, up to `end`, and what follows it; false when it does not begin so.
bool piece(std::string_view &text, std::string_view name, std::string_view end, std::string_view &value) {
  if (!text.starts_with(name)) return false;
  text.remove_prefix(name.size());
  const auto at = end.empty() ? text.size() : text.find(end);
  if (at == text.npos) return false;
  value = text.substr(0, at);
  text.remove_prefix(at + end.size());
  return true;
}

// `bob; result="Spam"; class="Spam"; probability=1.0000; confidence=0.97; signature=4f6a`, from the last ` result=`:
// the user may be anything.
bool parse_summary(std::string_view text, Verdict &to) {
  constexpr std::string_view kMark = "; result=\"";
  const auto at = text.rfind(kMark);
  if (at == text.npos || at == 0) return false;
  text.remove_prefix(at + kMark.size());
  std::string_view result, word, probability, confidence, signature;
  if (!piece(text, "", "\"; ", result) || !piece(text, "class=\"", "\"; ", word) ||
      !piece(text, "probability=", "; ", probability) || !piece(text, "confidence=", "; ", confidence) ||
      !piece(text, "signature=", "", signature))
    return false;
  if (signature == "N/A") signature = {};
  if ((result != "Spam" && result != "Innocent") || !is_word(word) || !is_number(probability) ||
      !is_number(confidence) || (!signature.empty() && !is_signature(signature)))
    return false;
  to = {result == "Spam", std::string{word}, std::string{probability}, std::string{confidence}, std::string{signature}};
  return true;
}

}  // namespace

bool is_signature(std::string_view text) {
  return !text.empty() && text.size() <= kLongestSignature && text.front() != ',' && text.back() != ',' &&
         std::all_of(text.begin(), text.end(), [](char c) { return ascii::letter(c) || ascii::digit(c) || c == ','; });
}

Read CommandReply::take(std::string_view line) {
  if (!is_reply(line) || ++lines_ > kReplyLines) return Read::Bad;
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (lines_ > 1 && code != code_) return Read::Bad;
  code_ = code;
  const auto rest = line.substr(std::min<std::size_t>(4, line.size()));
  if (ascii::equal_fold(rest, "DSPAMPROCESSMODE")) process_mode_ = true;
  if (line.size() > 3 && line[3] == '-') return Read::More;
  text_ = printable(rest);
  return Read::Done;
}

Read Answer::take(std::string_view line) {
  if (++lines_ > kMessageLines) return Read::Bad;
  switch (state_) {
    case State::Begin:
      return begin(line);
    case State::Summary:
      return summary(line);
    case State::Message:
      break;
  }
  return field(line);
}

Read Answer::done(Kind what, bool whole) {
  kind_ = what;
  complete_ = whole;
  return Read::Done;
}

Read Answer::begin(std::string_view line) {
  if (line == ".") return done(Kind::None, true);
  if (line.starts_with(kResult)) {
    if (!parse_summary(line.substr(kResult.size()), verdict_)) return Read::Bad;
    state_ = State::Summary;
    return Read::More;
  }
  if (line.starts_with(kClassification)) {
    const auto word = line.substr(kClassification.size());
    if (word != "SPAM" && word != "INNOCENT") return Read::Bad;
    verdict_.spam = word == "SPAM";
    verdict_.word = verdict_.spam ? "Spam" : "Innocent";
    state_ = State::Message;
    return Read::More;
  }
  const auto read = reply_.take(line);
  if (read != Read::Done) return read;
  if (code() < 300) return done(Kind::Taken, true);
  return code() < 400 ? Read::Bad : done(Kind::Refused, true);
}

// Of mail whose user wants spam delivered, --stdout gives the message back after the line that we want.
Read Answer::summary(std::string_view line) {
  if (line == ".") return done(Kind::Verdict, true);
  if (line.starts_with(kClassification)) return done(Kind::Verdict, false);
  return Read::Bad;
}

// The end of a message that is not dot-stuffed cannot be known, so the connection ends with it. DSPAM's fields come
// after what the message had, in one piece that begins with X-DSPAM-Result and X-DSPAM-Processed; the last one counts.
// Without any, what the sender wrote says nothing, and there are the classification's word and no signature.
Read Answer::field(std::string_view line) {
  if (line.empty()) return done(Kind::Verdict, false);
  if (line == ".") return done(Kind::Verdict, true);
  const auto before = std::exchange(word_, {});
  const auto colon = line.find(':');
  if (colon == line.npos) return Read::More;
  const auto name = line.substr(0, colon);
  auto value = line.substr(colon + 1);
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  if (ascii::equal_fold(name, "X-DSPAM-Result") && is_word(value)) {
    word_ = value;
  } else if (ascii::equal_fold(name, "X-DSPAM-Processed") && !before.empty()) {
    marked_ = true;
    verdict_ = {verdict_.spam, before, {}, {}, {}};
  } else if (marked_ && ascii::equal_fold(name, "X-DSPAM-Probability") && is_number(value)) {
    verdict_.probability = value;
  } else if (marked_ && ascii::equal_fold(name, "X-DSPAM-Confidence") && is_number(value)) {
    verdict_.confidence = value;
  } else if (marked_ && ascii::equal_fold(name, "X-DSPAM-Signature") && is_signature(value)) {
    verdict_.signature = value;
  }
  return Read::More;
}

}  // namespace mansio::dspam
