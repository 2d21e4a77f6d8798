// What has neither host nor server: bodies, JSON and what a status means.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "plugins/transport-http/body.hpp"
#include "plugins/transport-http/envelope.hpp"
#include "plugins/transport-http/status.hpp"

namespace {

using namespace mansio::http;

std::string all(Body &body, std::size_t piece) {
  std::string out;
  std::vector<char> buffer(piece);
  for (std::int64_t n = 0; (n = body.read(buffer.data(), buffer.size())) > 0;)
    out.append(buffer.data(), static_cast<std::size_t>(n));
  return out;
}

TEST(HttpBody, HasTheSizeThatItSaysAndCanBeReadAgain) {
  for (const std::size_t length : {0, 1, 2, 3, 49151, 49152, 49153, 200'000}) {
    const std::string message(length, 'm');
    const auto read = [&](std::uint64_t offset, char *to, std::size_t n) {
      n = std::min<std::size_t>(n, 10'000);
      std::memcpy(to, message.data() + offset, n);
      return static_cast<std::int64_t>(n);
    };
    Body raw{read, length};
    EXPECT_EQ(all(raw, 777), message);
    EXPECT_TRUE(raw.finished());
    Body json{"{\"m\":\"", read, length, "\"}"};
    EXPECT_EQ(json.finished(), false);
    const auto first = all(json, 1000);
    EXPECT_EQ(first.size(), json.size());
    EXPECT_EQ(std::count(first.begin(), first.end(), '='), length % 3 == 0 ? 0 : 3 - static_cast<long>(length % 3));
    json.rewind();
    EXPECT_TRUE(all(json, 64) == first) << length;
  }
}

TEST(HttpBody, SaysWhenTheMessageCannotBeRead) {
  Body body{[](std::uint64_t, char *, std::size_t) { return std::int64_t{-1}; }, 5};
  char buffer[8];
  EXPECT_EQ(body.read(buffer, sizeof buffer), -1);
  EXPECT_FALSE(body.finished());
}

TEST(HttpJson, StringsAreUtf8WhateverComesIn) {
  EXPECT_EQ(json_string("a\"b\\c\n\x01"), R"("a\"b\\c\u000a\u0001")");
  EXPECT_EQ(json_string("j\xc3\xbcrgen \xf0\x9f\x93\xa8"), "\"j\xc3\xbcrgen \xf0\x9f\x93\xa8\"");
  EXPECT_EQ(json_string("\xff\xc3"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
  EXPECT_EQ(json_string("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");  // a surrogate
  EXPECT_EQ(json_string("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");                  // longer than it must be
}

TEST(HttpEnvelope, NothingInAHeaderFieldEndsIt) {
  mansio::plugin::Delivery mail;
  mail.sender = "a\r\nX: y@example.org";
  for (const auto &field : header_fields(mail, true))
    EXPECT_EQ(field.find_first_of("\r\n"), std::string::npos) << field;
}

std::string shown(const Response &response) {
  const auto reply = reply_for(response);
  const auto e = reply.enhanced();
  const auto status = reply.status();
  return std::string{status == MANSIO_OK      ? "sent"
                     : status == MANSIO_DEFER ? "defer"
                                              : "bounce"} +
         ' ' + std::to_string(e.cls) + '.' + std::to_string(e.subject) + '.' + std::to_string(e.detail) + ' ' +
         reply.text();
}

TEST(HttpStatus, SaysWhatBecomesOfTheMail) {
  EXPECT_EQ(shown({204, 0, ""}), "sent 2.0.0 HTTP 204");
  EXPECT_EQ(shown({429, 120, "slow down\n"}), "defer 4.3.2 HTTP 429, retry after 120 s: slow down");
  EXPECT_EQ(shown({408, 0, ""}), "defer 4.4.2 HTTP 408");
  EXPECT_EQ(shown({500, 0, "oops"}), "defer 4.3.0 HTTP 500: oops");
  EXPECT_EQ(shown({503, 5, ""}), "defer 4.3.2 HTTP 503, retry after 5 s");
  EXPECT_EQ(shown({302, 0, ""}), "defer 4.3.0 HTTP 302");
  EXPECT_EQ(shown({401, 0, ""}), "defer 4.7.8 HTTP 401");
  EXPECT_EQ(shown({400, 0, ""}), "bounce 5.3.0 HTTP 400");
  EXPECT_EQ(shown({413, 0, ""}), "bounce 5.3.4 HTTP 413");
}

TEST(HttpStatus, ACodeInTheAnswerCountsWhereItsClassFits) {
  EXPECT_EQ(shown({422, 0, "5.1.1 no such user\r\n"}), "bounce 5.1.1 HTTP 422: no such user");
  EXPECT_EQ(shown({503, 0, "4.2.2 full"}), "defer 4.2.2 HTTP 503: full");
  EXPECT_EQ(shown({500, 0, "5.1.1 no such user"}), "defer 4.3.0 HTTP 500: no such user");
}

TEST(HttpStatus, RetryAfterIsAHintForTheNextTry) {
  bool seen = false;
  reply_for({429, 120, ""}).with_abi([&](const mansio_reply &r) { seen = r.retry_ns == 120'000'000'000; });
  EXPECT_TRUE(seen);
}

}  // namespace
