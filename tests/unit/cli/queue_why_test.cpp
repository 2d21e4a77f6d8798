// What `mansio queue why` prints of the queue process's answers for people.
#include "kernel/cli/queue_why.hpp"

#include <gtest/gtest.h>

namespace mansio::cli {
namespace {

TEST(QueueWhyText, OfAMessageNamesTheLimitWhoElseWaitsAndTheTime) {
  EXPECT_EQ(why_text(R"({"queue_id":"4F2D","transport":"smtp","destination":"example.com","site":"mx:mx.example",)"
                     R"("recipients":2,"why":"destination_rate_limit","detail":"one each 60 s","value":60,"others":3,)"
                     R"("eligible":"2026-11-22T04:33:00.000Z"})"),
            "4F2D smtp example.com (site mx:mx.example), 2 recipients\n"
            "  destination_rate_limit: one each 60 s; 3 others wait for it; next at 2026-11-22T04:33:00.000Z\n");
}

TEST(QueueWhyText, OfADestinationSaysAllThatItsStateIs) {
  EXPECT_EQ(why_text(R"({"transport":"smtp","destination":"example.com","deliveries":1,"concurrency":2,"ready":0,)"
                     R"("groups":8,"concurrency_limit":20,"adaptive_rate":2.5,"dead_until":"2026-11-22T04:33:00.000Z",)"
                     R"("found":{"ready":0,"deferred":6,"held":1,"under_way":1},"why":"dead_destination",)"
                     R"("detail":"example.com","others":6,"eligible":"2026-11-22T04:33:00.000Z"})"),
            "smtp example.com, 1 of 2 deliveries at once, 0 ready, 8 in all; 6 deferred, 1 held; "
            "may grow to 20 at once; slowed down to 2.5/s; dead until 2026-11-22T04:33:00.000Z\n"
            "  dead_destination: example.com; 6 others wait for it; next at 2026-11-22T04:33:00.000Z\n");
}

TEST(QueueWhyText, OfADomainBehindANextHopSaysHowMuchIsIts) {
  EXPECT_EQ(why_text(R"({"transport":"smtp","destination":"[192.0.2.9]:25","for":"example.com","deliveries":20,)"
                     R"("concurrency":20,"ready":50,"groups":90,"concurrency_limit":20,)"
                     R"("found":{"ready":2,"deferred":0,"held":0,"under_way":1},"why":"turn","detail":"","others":0})"),
            "smtp [192.0.2.9]:25, 20 of 20 deliveries at once, 50 ready, 90 in all; "
            "for example.com 2 ready, 1 under way\n  turn\n");
}

TEST(QueueWhyText, SaysWhoseMailElseWaits) {
  EXPECT_EQ(why_text(R"({"queue_id":"4F2D","transport":"smtp","destination":"example.com","why":"turn","detail":"",)"
                     R"("others":5000,"waiting":{"looked_at":1000,"tenant":[{"name":"acme","groups":600},)"
                     R"({"name":"","groups":400}],"sender_domain":[{"name":"example.org","groups":1000}]}})"),
            "4F2D smtp example.com\n  turn; 5000 others wait for it: of tenants acme (600), none (400); "
            "from example.org (1000); the first 1000 of them\n");
}

TEST(QueueWhyText, SaysWhatRepliesHaveDone) {
  EXPECT_EQ(why_text(R"({"response":"slow","transport":"smtp","destination":"example.com","rate":2.5})"),
            "smtp example.com: slowed down to 2.5/s\n");
  EXPECT_EQ(why_text(R"({"response":"concurrency","transport":"smtp","destination":"example.com","concurrency":2})"),
            "smtp example.com: concurrency lowered to 2\n");
  EXPECT_EQ(why_text(R"({"response":"pool","destination":"example.com","source_pool":"spare","until":"2026-11-22"})"),
            "example.com: source pool spare until 2026-11-22\n");
}

TEST(QueueWhyText, ShowsNoControlCharactersAndNothingOfWhatIsNoAnswer) {
  EXPECT_EQ(why_text(R"({"transport":"smtp","destination":"a\u001b[2J","why":"turn","detail":""})").find('\x1b'),
            std::string::npos);
  EXPECT_EQ(why_text("nonsense"), "");
  EXPECT_EQ(why_text("[]"), "");
}

}  // namespace
}  // namespace mansio::cli
