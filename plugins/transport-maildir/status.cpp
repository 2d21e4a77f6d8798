#include "status.hpp"

#include <cerrno>
#include <cstring>

namespace maildir {
namespace {

using mansio::plugin::bounce;
using mansio::plugin::defer;
using mansio::plugin::Reply;

Reply full(bool permanent, const char *text) { return permanent ? bounce({5, 2, 2}, text) : defer({4, 2, 2}, text); }

// As Postfix's virtual(8) has it: trouble with one mailbox is 4.2.x, with the system 4.3.x, and nothing that an
// operator can mend bounces.
Reply of_error(int error, OverQuota over_quota) {
  switch (error) {
    case EDQUOT:
      return full(over_quota == OverQuota::Bounce, "the mailbox's disk quota is used up");
    case ENOSPC:
      return defer({4, 3, 1}, "no space left for mail");
    case EACCES:
    case EPERM:
      return defer({4, 2, 0}, "the mailbox cannot be written: permission denied");
    case EROFS:
      return defer({4, 3, 0}, "the mailbox cannot be written: its file system is read-only");
    case EFBIG:
      return defer({4, 2, 2}, "the message is larger than a file may be here");
    case ENAMETOOLONG:
      return bounce({5, 1, 3}, "this address can name no mailbox");
    default:
      return defer({4, 3, 0}, std::string{"the mailbox cannot be written: "} + std::strerror(error));
  }
}

}  // namespace

Reply reply_for(const Result &result, const std::string &recipient, OverQuota over_quota) {
  switch (result.outcome) {
    case Outcome::Delivered:
      return mansio::plugin::sent("delivered to maildir");
    case Outcome::NoMailbox:
      return bounce({5, 1, 1}, "unknown user: " + recipient);
    case Outcome::OverQuota:
      return full(over_quota != OverQuota::Defer, "the mailbox is full");
    case Outcome::Unreadable:
      return defer({4, 3, 0}, "the message could not be read");
    case Outcome::SystemError:
      break;
  }
  return of_error(result.error, over_quota);
}

}  // namespace maildir
