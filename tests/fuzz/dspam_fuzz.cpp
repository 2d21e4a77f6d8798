// What DSPAM's daemon says, and mail that users send back with its signatures: whatever comes, a verdict holds only
// what may stand in a header, and a signature is one that may be sent back.
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "plugins/filter-dspam/answer.hpp"
#include "plugins/filter-dspam/signature.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::dspam {
namespace {

using namespace mansio::dspam;

bool printable(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) return false;
  return true;
}

void check(const Answer &answer) {
  if (answer.kind() == Answer::Kind::Verdict) {
    const auto &v = answer.verdict();
    require(!v.word.empty() && printable(v.word) && printable(v.probability) && printable(v.confidence));
    require(v.signature.empty() || is_signature(v.signature));
  } else if (answer.kind() == Answer::Kind::Refused) {
    require(answer.code() >= 400 && answer.code() < 600 && printable(answer.text()));
  }
}

}  // namespace

MANSIO_FUZZ_TARGET("dspam-fuzz", data, size) {
  if (size > 20'000) return 0;
  const std::string_view all{reinterpret_cast<const char *>(data), size};
  Answer answer;
  CommandReply reply;
  auto answered = Read::More, replied = Read::More;
  for (auto rest = all; !rest.empty();) {
    const auto end = rest.find('\n');
    auto line = rest.substr(0, end);
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (answered == Read::More) answered = answer.take(line);
    if (replied == Read::More) replied = reply.take(line);
  }
  if (answered == Read::Done) check(answer);
  if (replied == Read::Done) require(reply.code() >= 200 && reply.code() < 600 && printable(reply.text()));

  const auto found = find_signatures(all, "X-DSPAM-Signature");
  require(found.size() <= kMostSignatures);
  require(std::set<std::string>(found.begin(), found.end()).size() == found.size());
  for (const auto &signature : found) require(is_signature(signature));
  return 0;
}

}  // namespace mansio::fuzz::dspam
