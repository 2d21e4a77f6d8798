// Deliveries to a web server through the plugin's entry: what it gets and what its answers mean. TLS is tested with
// real programs, in tests/system.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include "mansio/testing/fake_host.hpp"
#include "plugins/testing/readme.hpp"
#include "plugins/transport-http/tests/http_server.hpp"

namespace {

using mansio::http::test::HttpServer;
using mansio::http::test::Received;
using mansio::testing::FakeHost;
using mansio::testing::FakeMail;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

FakeMail mail() {
  return {.sender = "a@example.org",
          .recipients = {{"b@example.com", "B@example.com", "", 0}, {"c@example.com", "", "", 0}},
          .content = "Subject: x\r\n\r\nhello\r\n",
          .metadata = {{"tenant", "blue \"1\""}}};
}

mansio::testing::FakeReply send(const HttpServer &server, FakeHost::Options options = {}, const FakeMail &m = mail()) {
  options.try_emplace("url", server.url());
  FakeHost host{mansio_plugin_entry_1(), options};
  const auto result = host.run(m);
  EXPECT_THAT(host.faults, IsEmpty());
  return result.recipients.at(1);
}

auto always(int status, const std::string &body = "", const std::string &fields = "") {
  return [=](const Received &) { return HttpServer::response(status, body, fields); };
}

TEST(TransportHttp, PostsTheMessageWithItsEnvelopeInHeaderFields) {
  const HttpServer server{always(200, "stored as 17\n")};
  auto m = mail();
  m.flags = MANSIO_MSG_POSSIBLE_DUPLICATE;
  const auto reply = send(server, {{"headers", "X-Tenant: blue,Accept: */*"}, {"bearer_token", "s3cret"}}, m);
  EXPECT_EQ(reply.status, MANSIO_OK);
  EXPECT_EQ(reply.text, "HTTP 200: stored as 17");
  EXPECT_THAT(reply.relay, HasSubstr("127.0.0.1[127.0.0.1]:"));
  EXPECT_EQ(reply.remote_mta, "127.0.0.1");
  ASSERT_EQ(server.received().size(), 1u);
  const auto got = server.received().at(0);
  EXPECT_EQ(got.body, "Subject: x\r\n\r\nhello\r\n");
  EXPECT_THAT(got.head, ::testing::StartsWith("POST /hook HTTP/1.1\r\n"));
  EXPECT_EQ(got.field("Content-Type"), "message/rfc822");
  EXPECT_EQ(got.field("Mansio-Queue-Id"), "0123456789ABC");
  EXPECT_EQ(got.field("Mansio-Sender"), "<a@example.org>");
  EXPECT_THAT(got.head, HasSubstr("Mansio-Recipient: <b@example.com>\r\nMansio-Recipient: <c@example.com>\r\n"));
  EXPECT_EQ(got.field("Mansio-Possible-Duplicate"), "yes");
  EXPECT_EQ(got.field("X-Tenant"), "blue");
  EXPECT_EQ(got.field("Authorization"), "Bearer s3cret");
  EXPECT_EQ(got.field("Mansio-Signature"), "");
}

TEST(TransportHttp, PostsOneJsonObjectWhereAskedFor) {
  const HttpServer server{always(202)};
  EXPECT_EQ(send(server, {{"format", "json"}}).status, MANSIO_OK);
  const auto got = server.received().at(0);
  EXPECT_EQ(got.field("Content-Type"), "application/json");
  EXPECT_THAT(got.body, HasSubstr(R"({"queue_id":"0123456789ABC","sender":"a@example.org","recipients":[)"
                                  R"({"address":"b@example.com","original":"B@example.com"},)"
                                  R"({"address":"c@example.com","original":"c@example.com"}],"client":{)"));
  EXPECT_THAT(got.body, HasSubstr(R"("metadata":{"tenant":"blue \"1\""},"arrival":)"));
  EXPECT_THAT(got.body, HasSubstr(R"("size":21,"possible_duplicate":false,"message":"U3ViamVjdDogeA0KDQpoZWxsbw0K"})"));
}

TEST(TransportHttp, SignsTheBodyWithTheSecret) {
  for (const auto *format : {"raw", "json"}) {
    const HttpServer server{always(200)};
    send(server, {{"format", format}, {"hmac_secret", "key"}, {"signature_header", "X-Signature"}});
    const auto got = server.received().at(0);
    unsigned char code[32];
    unsigned size = sizeof code;
    ::HMAC(EVP_sha256(), "key", 3, reinterpret_cast<const unsigned char *>(got.body.data()), got.body.size(), code,
           &size);
    std::string hex;
    for (const auto octet : code) {
      char digits[3];
      std::snprintf(digits, sizeof digits, "%02x", octet);
      hex += digits;
    }
    EXPECT_EQ(got.field("X-Signature"), "sha256=" + hex) << format;
  }
}

TEST(TransportHttp, ConnectionsAreUsedAgain) {
  const HttpServer server{always(200)};
  FakeHost host{mansio_plugin_entry_1(), {{"url", server.url()}}};
  for (std::uint32_t use = 1; use <= 3; ++use) EXPECT_EQ(host.run(mail()).recipients.at(0).connection_use, use);
  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(server.received().size(), 3u);
}

TEST(TransportHttp, AKeptConnectionThatIsDeadIsReplaced) {
  std::atomic<int> requests = 0;
  const HttpServer server{[&](const Received &) {
    ++requests;
    return HttpServer::response(200, "", requests == 1 ? "Connection: close\r\n" : "");
  }};
  FakeHost host{mansio_plugin_entry_1(), {{"url", server.url()}}};
  EXPECT_EQ(host.run(mail()).recipients.at(0).status, MANSIO_OK);
  EXPECT_EQ(host.run(mail()).recipients.at(0).status, MANSIO_OK);
  EXPECT_EQ(server.connections(), 2);
}

TEST(TransportHttp, ALargeMessageArrivesWholeInBothFormats) {
  auto m = mail();
  while (m.content.size() < 3'000'000) m.content += "line " + std::to_string(m.content.size()) + "\r\n";
  const HttpServer server{always(200)};
  EXPECT_EQ(send(server, {}, m).status, MANSIO_OK);
  EXPECT_TRUE(server.received().at(0).body == m.content);
  EXPECT_EQ(send(server, {{"format", "json"}}, m).status, MANSIO_OK);
  const auto body = server.received().at(1).body;
  EXPECT_TRUE(body.ends_with("\"}"));
  EXPECT_EQ(body.size() - body.find(R"("message":")") - 11 - 2, (m.content.size() + 2) / 3 * 4);
}

TEST(TransportHttp, WithoutAServerTheMailIsDeferredAndTheSiteHasFailed) {
  std::string url;
  {
    const HttpServer server{always(200)};
    url = server.url();
  }
  FakeHost host{mansio_plugin_entry_1(), {{"url", url}}};
  const auto reply = *host.run(mail()).last;
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.4.1");
  EXPECT_NE(reply.flags & MANSIO_REPLY_SITE_FAILURE, 0u);
}

TEST(TransportHttp, NoAnswerAfterTheWholeMessageIsUncertain) {
  const HttpServer server{[](const Received &) { return std::string{}; }};
  const auto reply = send(server);
  EXPECT_EQ(reply.status, MANSIO_UNCERTAIN);
  EXPECT_THAT(reply.text, HasSubstr("has the message and did not answer"));
}

mansio::testing::FakeReply send_to_a_server_that_hangs(const FakeHost::Options &options, const FakeMail &m) {
  std::atomic<bool> over = false;
  const HttpServer server{[&](const Received &) {
    while (!over) std::this_thread::yield();
    return std::string{};
  }};
  auto reply = send(server, options, m);
  over = true;
  return reply;
}

TEST(TransportHttp, AServerThatHangsIsGivenUp) {
  EXPECT_EQ(send_to_a_server_that_hangs({{"timeout", "1s"}}, mail()).status, MANSIO_UNCERTAIN);
  auto m = mail();
  m.time_limit = std::chrono::seconds{1};
  EXPECT_EQ(send_to_a_server_that_hangs({}, m).status, MANSIO_UNCERTAIN);
}

TEST(TransportHttp, RefusesOptionsThatItCannotUse) {
  const auto problems = [](FakeHost::Options options) {
    options.try_emplace("url", "https://api.example.com/mail");
    return FakeHost::check(mansio_plugin_entry_1(), options);
  };
  EXPECT_EQ(problems({}), "");
  for (const auto *url : {"api.example.com", "ftp://example.com/", "", "https://"})
    EXPECT_THAT(problems({{"url", url}}), HasSubstr("expected a URL such as")) << url;
  EXPECT_THAT(problems({{"url", "https://u:p@example.com/"}}), HasSubstr("url names a user, expected none"));
  EXPECT_THAT(problems({{"format", "xml"}}), HasSubstr("format is \"xml\", expected \"raw\" or \"json\""));
  EXPECT_THAT(problems({{"headers", "no colon"}}), HasSubstr("headers holds \"no colon\", expected \"Name: value\""));
  EXPECT_THAT(problems({{"bearer_token", "a\nb"}}), HasSubstr("bearer_token has a control character"));
  EXPECT_EQ(problems({{"bearer_token", "a\nb"}}).find("a\nb"), std::string::npos);
  EXPECT_THAT(problems({{"signature_header", "a b"}}), HasSubstr("expected the name of a header field"));
  EXPECT_THAT(problems({{"ca_file", "/nowhere/ca.pem"}}),
              HasSubstr("ca_file names /nowhere/ca.pem, which is not there"));
  EXPECT_THAT(problems({{"timeout", "0"}}), HasSubstr("timeout is 0, expected a time"));
}

TEST(TransportHttp, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
