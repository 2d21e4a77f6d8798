#include "plugins/pipe-common/account.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "mansio/config.hpp"

namespace mansio::pipe {
namespace {

constexpr std::size_t kRecord = 64 * 1024;

template <class Id>
std::optional<Id> number(const std::string &text) {
  Id id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (id == static_cast<Id>(-1)) return std::nullopt;  // nobody's: to setresuid() it means to stay who we are
  return id;
}

plugin::BadConfig bad_user(const std::string &text, const std::string &why) {
  return {"user", "is \"" + text + "\", " + why};
}

// User by name or number, with his group; of a number that has no record the group is the same number.
std::optional<Account> user(const std::string &name) {
  std::vector<char> space(kRecord);
  passwd record{}, *found = nullptr;
  const auto id = number<uid_t>(name);
  const int error = id ? ::getpwuid_r(*id, &record, space.data(), space.size(), &found)
                       : ::getpwnam_r(name.c_str(), &record, space.data(), space.size(), &found);
  if (error == 0 && found) return Account{found->pw_uid, found->pw_gid};
  return id ? std::optional{Account{*id, *id}} : std::nullopt;
}

std::optional<gid_t> group(const std::string &name) {
  if (const auto id = number<gid_t>(name)) return id;
  std::vector<char> space(kRecord);
  ::group record{}, *found = nullptr;
  if (::getgrnam_r(name.c_str(), &record, space.data(), space.size(), &found) != 0 || !found) return std::nullopt;
  return found->gr_gid;
}

}  // namespace

std::optional<Account> parse_account(const std::string &text) {
  if (text.empty()) return std::nullopt;
  const auto colon = text.find(':');
  auto account = user(text.substr(0, colon));
  if (!account) throw plugin::BadConfig{"user", "names the user " + text.substr(0, colon) + ", which is not there"};
  if (colon != text.npos) {
    const auto gid = group(text.substr(colon + 1));
    if (!gid) throw plugin::BadConfig{"user", "names the group " + text.substr(colon + 1) + ", which is not there"};
    account->gid = *gid;
  }
  if (account->uid == 0) throw bad_user(text, "expected another user than root, as whom no command is run");
  if (account->gid == 0) throw bad_user(text, "expected another group than root's, as which no command is run");
  return account;
}

std::optional<Account> account_to_become(const std::string &text) {
  const auto wanted = parse_account(text);
  if (::geteuid() == 0) {
    if (!wanted)
      throw plugin::BadConfig{"user", "is not given, expected one: this process is root, as whom no command is run"};
    return wanted;
  }
  if (wanted && (wanted->uid != ::geteuid() || wanted->gid != ::getegid()))
    throw bad_user(text, "but this process runs as user " + std::to_string(::geteuid()) + " and group " +
                             std::to_string(::getegid()) +
                             " and cannot change that; expected none, or the `user` that all of Mansio runs as");
  return std::nullopt;
}

void judge_chroot(const std::string &directory) {
  if (directory.empty() || ::geteuid() == 0) return;
  throw plugin::BadConfig{"chroot", "is \"" + directory + "\", but this process runs as user " +
                                        std::to_string(::geteuid()) +
                                        " and only root can change its root directory; expected none"};
}

}  // namespace mansio::pipe
