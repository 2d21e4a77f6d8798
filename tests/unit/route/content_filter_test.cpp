// Which content filter mail goes to, new or routed again.
#include "kernel/route/content_filter.hpp"

#include <gtest/gtest.h>

namespace mansio::route {
namespace {

config::Smtpd with(const char *filter) {
  config::Smtpd smtpd;
  smtpd.content_filter = filter;
  return smtpd;
}

TEST(ContentFilter, IsATransportAndPerhapsANextHop) {
  EXPECT_FALSE(content_filter(with("")));
  EXPECT_EQ(content_filter(with("clamav")), (Route{"clamav", ""}));
  EXPECT_EQ(content_filter(with("clamav:clamav")), (Route{"clamav", "clamav"}));
  EXPECT_EQ(content_filter(with("smtp:[127.0.0.1]:10024")), (Route{"smtp", "[127.0.0.1]:10024"}));
  EXPECT_EQ(content_filter(with("lmtp:unix:/tmp/dspam.sock")), (Route{"lmtp", "unix:/tmp/dspam.sock"}));
}

TEST(ContentFilter, OfMailInTheQueueIsThatOfItsListenerNow) {
  config::Settings settings;
  settings.smtpd = with("all");
  auto &smtp = settings.listeners.emplace_back();
  smtp.name = "smtp";
  smtp.smtpd = with("first");
  settings.listeners.emplace_back().name = "back";
  EXPECT_EQ(content_filter(settings, "smtp"), (Route{"first", ""}));
  EXPECT_FALSE(content_filter(settings, "back"));
  EXPECT_EQ(content_filter(settings, "gone"), (Route{"all", ""}));
  EXPECT_FALSE(content_filter(settings, "")) << "made here";
}

}  // namespace
}  // namespace mansio::route
