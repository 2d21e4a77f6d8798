#include "plugins/transport-pipe/status.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <sysexits.h>

#include <csignal>

namespace {

using mansio::pipe::reply_for;

std::string shown(int wait_status, const std::string &output = "") {
  const auto reply = reply_for(wait_status, output);
  const auto e = reply.enhanced();
  std::string status;
  switch (reply.status()) {
    case MANSIO_OK:
      status = "sent";
      break;
    case MANSIO_FAIL:
      status = "bounce";
      break;
    case MANSIO_DEFER:
      status = "defer";
      break;
    default:
      status = "uncertain";
  }
  return status + ' ' + std::to_string(e.cls) + '.' + std::to_string(e.subject) + '.' + std::to_string(e.detail) + ' ' +
         reply.text();
}

TEST(PipeStatus, ExitStatusesAreThoseOfSysexits) {
  EXPECT_EQ(shown(W_EXITCODE(0, 0)), "sent 2.0.0 delivered by command");
  EXPECT_EQ(shown(W_EXITCODE(EX_NOUSER, 0)), "bounce 5.1.1 the command says: no such user");
  EXPECT_EQ(shown(W_EXITCODE(EX_TEMPFAIL, 0)), "defer 4.3.0 the command says: temporary failure");
  EXPECT_EQ(shown(W_EXITCODE(EX_OSERR, 0)), "defer 4.3.0 the command says: the system lacks something");
  EXPECT_EQ(shown(W_EXITCODE(EX_NOPERM, 0), "no"), "bounce 5.7.0 the command says: permission denied: no");
  EXPECT_EQ(shown(W_EXITCODE(1, 0), "oops"), "bounce 5.3.0 the command ended with status 1: oops");
  EXPECT_EQ(shown(W_EXITCODE(127, 0)), "defer 4.3.5 the command says: a program in it was not found");
}

TEST(PipeStatus, ACodeInTheOutputOverridesAnExitStatusThatIsNotZero) {
  EXPECT_EQ(shown(W_EXITCODE(1, 0), "4.2.2 mailbox full\n"), "defer 4.2.2 mailbox full");
  EXPECT_EQ(shown(W_EXITCODE(EX_TEMPFAIL, 0), "5.7.1 spam"), "bounce 5.7.1 spam");
  EXPECT_EQ(shown(W_EXITCODE(1, 0), "5.7.1"), "bounce 5.7.1 the command refused the message");
  EXPECT_EQ(shown(W_EXITCODE(0, 0), "5.7.1 spam"), "sent 2.0.0 delivered by command: 5.7.1 spam");
}

TEST(PipeStatus, DeathBySignalIsUncertain) {
  EXPECT_EQ(shown(W_EXITCODE(0, SIGSEGV), "x"), "uncertain 4.3.0 the command died of signal 11: x");
}

}  // namespace
