// `mansio lua repl`, and the real DNS's answers that it can read.
#include "plugins/lua/tool/repl.hpp"

#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "plugins/lua/tool/resolver.hpp"

namespace mansio::lua::tool {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

struct Said {
  int status;
  std::string text;
};
Said say(std::string input, bool prompt = false, const ReplOrder &order = {}) {
  char *text = nullptr;
  std::size_t n = 0;
  auto *in = ::fmemopen(input.data(), input.size(), "r");
  auto *out = ::open_memstream(&text, &n);
  const int status = repl(order, in, out, prompt);
  std::fclose(in);
  std::fclose(out);
  Said said{status, {text, n}};
  std::free(text);
  return said;
}

TEST(Repl, ShowsWhatAPieceReturns) {
  EXPECT_EQ(say("1 + 1\n").text, "2\n");
  EXPECT_EQ(say("x = {1, a = \"b\\n\"}\nx, nil\n").text, "{1, a = \"b\\n\"}\tnil\n");
  EXPECT_EQ(say("mansio.reject('5.7.1', 'no')\n").text, "reject: no\n");
  EXPECT_EQ(say("print('a', 1)\n").text, "a\t1\n");
}

TEST(Repl, HasTheSettingsThatItIsGiven) {
  ReplOrder order;
  order.settings = {"domain=a,b", "days=21"};
  EXPECT_EQ(say("mansio.config.domain, mansio.config.days\n", false, order).text, "\"a,b\"\t\"21\"\n");
  order.settings = {"domain"};
  EXPECT_THROW(repl(order, stdin, stdout, false), std::exception);  // before it reads
}

TEST(Repl, GoesOnUntilAPieceIsWhole) {
  EXPECT_EQ(say("for i = 1, 2 do\nprint(i)\nend\n").text, "1\n2\n");
  EXPECT_EQ(say("for i = 1, 2 do\nprint(i)\nend\n1\n", true).text, "> >> >> 1\n2\n> 1\n> \n");
  const auto cut = say("for i = 1, 2 do\n");
  EXPECT_EQ(cut.status, 1);
  EXPECT_THAT(cut.text, HasSubstr("<eof>"));
}

TEST(Repl, IsTheSandboxOfScripts) {
  EXPECT_THAT(say("mansio.json.encod(1)\n").text, HasSubstr("mansio.json has no \"encod\"; did you mean \"encode\"?"));
  EXPECT_THAT(say("io.open('x')\n").text, HasSubstr("there is no global \"io\""));
  EXPECT_EQ(say("io.open('x')\n").status, 1);
  const auto loop = say("while true do end\n'still here'\n");
  EXPECT_THAT(loop.text, HasSubstr("\"still here\"\n"));
  EXPECT_EQ(loop.status, 1);
}

TEST(Repl, WaitsButAsksNobodyUnlessTold) {
  EXPECT_EQ(say("mansio.sleep('1ms')\n'awake'\n").text, "\"awake\"\n");
  EXPECT_THAT(say("mansio.dns('a.example', 'A')\n").text, HasSubstr("--dns"));
  EXPECT_THAT(say("mansio.lookup('t', 'k')\n").text, HasSubstr("there are no tables here"));
}

// One question for "a.", and records whose owner is that name (a pointer to octet 12).
std::string answer(const std::string &records, char count) {
  return std::string{"\x01\x02\x81\x80\0\1\0", 7} + count + std::string{"\0\0\0\0\1a\0\0\1\0\1", 11} + records;
}
std::string record(char type, const std::string &data) {
  return std::string{"\xc0\x0c\0", 3} + type + std::string{"\0\1\0\0\0\x3c\0", 7} + static_cast<char>(data.size()) +
         data;
}
mansio::testing::FakeDnsAnswer read(const std::string &bytes, std::uint16_t type) {
  return read_answer(reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size(), type);
}

TEST(Resolver, ReadsTheRecordsOfAType) {
  const auto alias = record(5, std::string{"\1b\0", 3});
  const auto a = read(answer(alias + record(1, "\xc0\1\2\3"), 2), MANSIO_DNS_A);
  EXPECT_EQ(a.status, MANSIO_OK);
  EXPECT_THAT(a.records, ElementsAre(Field(&plugin::DnsRecord::data, "192.1.2.3")));
  const auto mx = read(answer(record(15, std::string{"\0\x0a\2mx\xc0\x0c", 7}), 1), MANSIO_DNS_MX);
  ASSERT_EQ(mx.records.size(), 1u);
  EXPECT_EQ(mx.records[0].data, "mx.a");
  EXPECT_EQ(mx.records[0].preference, 10);
  const auto txt = read(answer(record(16, "\2ab\1c"), 1), MANSIO_DNS_TXT);
  EXPECT_THAT(txt.records, ElementsAre(Field(&plugin::DnsRecord::data, "abc")));
  const auto ip6 = read(answer(record(28, std::string(15, '\0') + '\1'), 1), MANSIO_DNS_AAAA);
  EXPECT_THAT(ip6.records, ElementsAre(Field(&plugin::DnsRecord::data, "::1")));
}

TEST(Resolver, SaysWhatIsNoAnswer) {
  EXPECT_EQ(read(answer("", 0), MANSIO_DNS_A).status, MANSIO_NOT_FOUND);
  EXPECT_EQ(read("nonsense", MANSIO_DNS_A).status, MANSIO_DEFER);
  EXPECT_EQ(read(answer(record(16, "\tab"), 1), MANSIO_DNS_TXT).status, MANSIO_NOT_FOUND);
}

}  // namespace
}  // namespace mansio::lua::tool
