// Whom commands run as. Mansio's processes have given up root's rights long before a message comes, and nobody can take
// them back; so another user than the process's own is refused when the plugin starts, not when mail is there. Only
// a process that is root changes, for each command, and it never runs one as root.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace mansio::pipe {

struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
};

// "user" or "user:group", names or numbers; nothing for an empty text. Throws BadConfig of "user" for what is not
// there, and for root and its group.
std::optional<Account> parse_account(const std::string &text);

// What a command has to change to, in this process; nothing: it runs as the process does. Throws BadConfig of "user"
// when that cannot be.
std::optional<Account> account_to_become(const std::string &text);

// Throws BadConfig of "chroot" when there is a directory and this process cannot change its root to any.
void judge_chroot(const std::string &directory);

}  // namespace mansio::pipe
