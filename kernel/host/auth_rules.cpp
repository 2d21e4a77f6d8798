#include <algorithm>
#include <vector>

#include "kernel/host/auth.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::host {
namespace {

constexpr std::size_t kLongestUser = 255;
constexpr std::size_t kLongestChallenge = 9210;  // in base64 behind "334 ", within RFC 4954's 12288
constexpr std::size_t kLongestMechanism = 20;    // RFC 4422 section 3.1
constexpr std::size_t kMostMechanisms = 16;

bool is_user(std::string_view name) {
  if (name.empty() || name.size() > kLongestUser) return false;
  return printable(name, true) == name;
}

}  // namespace

wire::AuthResult auth_failure(std::string why) {
  wire::AuthResult r;
  r.outcome = wire::AuthOutcome::Failed;
  r.text = std::move(why);
  return r;
}

std::string canonical_mechanisms(std::string_view names) {
  std::vector<std::string> all;
  while (!names.empty() && all.size() < kMostMechanisms) {
    const auto word = names.substr(0, names.find(' '));
    names.remove_prefix(std::min(word.size() + 1, names.size()));
    std::string name;
    for (const char c : word) name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    const bool good = !name.empty() && name.size() <= kLongestMechanism &&
                      name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == name.npos;
    if (good && std::find(all.begin(), all.end(), name) == all.end()) all.push_back(std::move(name));
  }
  std::string out;
  for (const auto &name : all) out += (out.empty() ? "" : " ") + name;
  return out;
}

bool valid(const wire::AuthResult &result) {
  switch (result.outcome) {
    case wire::AuthOutcome::Ok:
      return is_user(result.user) && (result.login.empty() || is_user(result.login)) && result.challenge.empty();
    case wire::AuthOutcome::Continue:
      return result.challenge.size() <= kLongestChallenge && result.user.empty() && result.login.empty();
    case wire::AuthOutcome::Fail:
    case wire::AuthOutcome::Defer:
    case wire::AuthOutcome::Failed:
      return result.user.empty() && result.login.empty() && result.challenge.empty();
  }
  return false;
}

}  // namespace mansio::host
