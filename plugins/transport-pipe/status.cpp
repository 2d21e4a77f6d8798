#include "plugins/transport-pipe/status.hpp"

#include <sys/wait.h>
#include <sysexits.h>

#include <algorithm>
#include <iterator>

#include "plugins/transport-common/reason.hpp"

namespace mansio::pipe {
namespace {

using plugin::Enhanced;

struct Exit {
  int code;
  Enhanced enhanced;
  const char *text;
};
constexpr Exit kExits[] = {{EX_USAGE, {5, 3, 0}, "it was called with wrong arguments"},
                           {EX_DATAERR, {5, 6, 0}, "it cannot use the message"},
                           {EX_NOINPUT, {5, 3, 0}, "it cannot read its input"},
                           {EX_NOUSER, {5, 1, 1}, "no such user"},
                           {EX_NOHOST, {5, 1, 2}, "no such host"},
                           {EX_UNAVAILABLE, {5, 3, 0}, "service unavailable"},
                           {EX_SOFTWARE, {5, 3, 0}, "internal error"},
                           {EX_OSERR, {4, 3, 0}, "the system lacks something"},
                           {EX_OSFILE, {5, 3, 0}, "a system file is missing"},
                           {EX_CANTCREAT, {5, 2, 0}, "it cannot create a file"},
                           {EX_IOERR, {5, 3, 0}, "input or output failed"},
                           {EX_TEMPFAIL, {4, 3, 0}, "temporary failure"},
                           {EX_PROTOCOL, {5, 5, 0}, "protocol error of a remote system"},
                           {EX_NOPERM, {5, 7, 0}, "permission denied"},
                           {EX_CONFIG, {5, 3, 5}, "its configuration is wrong"},
                           // What a shell says of a program that it cannot find or run: for an operator to mend.
                           {126, {4, 3, 5}, "a program in it cannot be run"},
                           {127, {4, 3, 5}, "a program in it was not found"}};

std::string with(std::string text, const std::string &output) {
  return output.empty() ? text : std::move(text) + ": " + output;
}

plugin::Reply of_class(Enhanced enhanced, std::string text) {
  return enhanced.cls == 4 ? plugin::defer(enhanced, std::move(text)) : plugin::bounce(enhanced, std::move(text));
}

}  // namespace

plugin::Reply reply_for(int wait_status, const std::string &output) {
  if (WIFSIGNALED(wait_status)) {
    // It may have delivered before it died.
    const auto signal = WTERMSIG(wait_status);
    return plugin::uncertain({4, 3, 0}, with("the command died of signal " + std::to_string(signal), output));
  }
  const int code = WEXITSTATUS(wait_status);
  if (code == 0) return plugin::sent(with("delivered by command", output));
  if (const auto reason = transport::parse_reason(output))
    return of_class(reason->enhanced,
                    reason->text.empty() ? "the command refused the message" : std::string{reason->text});
  const auto *const exit =
      std::find_if(std::begin(kExits), std::end(kExits), [&](const Exit &e) { return e.code == code; });
  if (exit == std::end(kExits))
    return plugin::bounce({5, 3, 0}, with("the command ended with status " + std::to_string(code), output));
  return of_class(exit->enhanced, with(std::string{"the command says: "} + exit->text, output));
}

}  // namespace mansio::pipe
