// The resolver and its reading of answers, against a server of the test's own and against bytes no server should send.
#include "kernel/io/dns.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <fstream>
#include <map>

#include "kernel/io/dns_message.hpp"

namespace mansio::io {
namespace {

using namespace std::literals;

// ---- wire format by hand ---------------------------------------------------------------------------------------

std::string u16(unsigned n) { return {static_cast<char>(n >> 8), static_cast<char>(n)}; }
std::string u32(std::uint32_t n) { return u16(n >> 16) + u16(n & 0xffff); }
std::string wire(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const auto dot = std::min(name.find('.'), name.size());
    out += static_cast<char>(dot) + std::string{name.substr(0, dot)};
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  return out + '\0';
}
std::string record(std::string_view owner, DnsType type, std::uint32_t ttl, const std::string &data) {
  return wire(owner) + u16(static_cast<unsigned>(type)) + u16(1) + u32(ttl) + u16(static_cast<unsigned>(data.size())) +
         data;
}
std::string soa(std::string_view owner, std::uint32_t ttl, std::uint32_t minimum) {
  return record(owner, static_cast<DnsType>(6), ttl,
                wire("ns.example") + wire("root.example") + u32(1) + u32(2) + u32(3) + u32(4) + u32(minimum));
}
struct Reply {
  unsigned rcode = 0;
  std::vector<std::string> answers{}, authority{};
  bool silent = false;
};
std::string response(const std::string &id, const std::string &question, const Reply &reply) {
  std::string out = id + u16(0x8180 | reply.rcode) + u16(1) + u16(static_cast<unsigned>(reply.answers.size())) +
                    u16(static_cast<unsigned>(reply.authority.size())) + u16(0) + question;
  for (const auto &a : reply.answers) out += a;
  for (const auto &a : reply.authority) out += a;
  return out;
}
std::string question(std::string_view name, DnsType type) {
  return wire(name) + u16(static_cast<unsigned>(type)) + u16(1);
}
std::string message(std::string_view name, DnsType type, const Reply &reply) {
  return response("ab", question(name, type), reply);
}
const std::string k192_0_2_1 = "\xC0\x00\x02\x01"s;

// ---- reading answers ----------------------------------------------------------------------------------------------

TEST(DnsMessage, GivesAddressesWithTheLeastTtl) {
  const auto answer = parse_dns_answer(message("Example.com", DnsType::A,
                                               {.answers = {record("example.COM", DnsType::A, 300, k192_0_2_1),
                                                            record("example.com", DnsType::A, 60, "\x7f\0\0\1"s)}}),
                                       "example.com.", DnsType::A);
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->records.size(), 2u);
  EXPECT_EQ(answer->records[0].data, "192.0.2.1");
  EXPECT_EQ(answer->records[1].data, "127.0.0.1");
  EXPECT_EQ(answer->ttl, 60 * kSecond);
}

TEST(DnsMessage, FollowsAliasesToTheCanonicalName) {
  const auto answer =
      parse_dns_answer(message("www.example", DnsType::Aaaa,
                               {.answers = {record("www.example", DnsType::Cname, 20, wire("a.example")),
                                            record("a.example", DnsType::Cname, 90, wire("b.example")),
                                            record("b.example", DnsType::Aaaa, 90, std::string(15, '\0') + '\1')}}),
                       "www.example", DnsType::Aaaa);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->canonical, "b.example");
  EXPECT_EQ(answer->records.at(0).data, "::1");
  EXPECT_EQ(answer->ttl, 20 * kSecond);
}

TEST(DnsMessage, DefersOnAnAliasLoop) {
  const auto answer = parse_dns_answer(
      message("a.example", DnsType::A, {.answers = {record("a.example", DnsType::Cname, 20, wire("a.example"))}}),
      "a.example", DnsType::A);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().status, Status::Defer);
}

TEST(DnsMessage, ShowsTheNullMxAsAnEmptyName) {
  const auto answer = parse_dns_answer(
      message("a.example", DnsType::Mx, {.answers = {record("a.example", DnsType::Mx, 20, u16(0) + '\0')}}),
      "a.example", DnsType::Mx);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->records.at(0).data, "");
}

TEST(DnsMessage, TellsNoNameFromNoDataAndTakesTheNegativeTtlFromTheSoa) {
  const auto no_name = parse_dns_message(
      message("a.example", DnsType::A, {.rcode = 3, .authority = {soa("example", 3600, 60)}}), "a.example", DnsType::A);
  EXPECT_EQ(no_name.result.error().status, Status::NotFound);
  EXPECT_EQ(no_name.result.error().text, "no such name: a.example");
  EXPECT_EQ(no_name.ttl, 60 * kSecond);
  const auto no_data = parse_dns_message(message("a.example", DnsType::A, {.authority = {soa("example", 30, 60)}}),
                                         "a.example", DnsType::A);
  EXPECT_EQ(no_data.result.error().text, "no such data: a.example");
  EXPECT_EQ(no_data.ttl, 30 * kSecond);
}

TEST(DnsMessage, DropsNamesNoHostCanHave) {
  const auto bad = wire("x y.example");
  const auto answer =
      parse_dns_answer(message("1.example", DnsType::Ptr, {.answers = {record("1.example", DnsType::Ptr, 20, bad)}}),
                       "1.example", DnsType::Ptr);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().status, Status::Fail);
}

TEST(DnsMessage, DefersOnBytesThatEndEarly) {
  const auto whole = message("a.example", DnsType::Mx,
                             {.answers = {record("a.example", DnsType::Mx, 20, u16(5) + wire("mx.example"))}});
  ASSERT_TRUE(parse_dns_answer(whole, "a.example", DnsType::Mx).ok());
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const auto answer = parse_dns_answer(whole.substr(0, n), "a.example", DnsType::Mx);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().status, Status::Defer);
  }
}

TEST(DnsMessage, RefusesPointersThatDoNotGoBack) {
  const std::string self = "\xC0\x19"s;  // points at itself: header 12, question "a" 3 + 4, owner 2... and beyond
  const auto bytes =
      message("a", DnsType::Mx, {.answers = {"\xC0\x13"s + u16(15) + u16(1) + u32(1) + u16(4) + u16(1) + self}});
  EXPECT_FALSE(parse_dns_answer(bytes, "a", DnsType::Mx).ok());
}

TEST(DnsNames, AreNormalisedAndRefusedWhenTheyAreNone) {
  EXPECT_EQ(normal_domain("Example.COM."), "example.com");
  for (const auto *bad : {"", ".", "a..b", "a b", ".a", "a\\.b", "b\xC3\xBC.example"})
    EXPECT_EQ(normal_domain(bad), "") << bad;
  EXPECT_EQ(normal_domain(std::string(64, 'a')), "");
  EXPECT_EQ(reverse_name("192.0.2.10"), "10.2.0.192.in-addr.arpa");
  EXPECT_EQ(reverse_name("2001:db8::1"), "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
  EXPECT_EQ(reverse_name("nonsense"), "");
}

// ---- the resolver ------------------------------------------------------------------------------------------------

class DnsTest : public ::testing::Test {
 protected:
  DnsTest() : server_(loop_, bound_socket(port_)) { serve(); }
  ~DnsTest() override {
    dns_.reset();
    loop_.poll();
  }

  static int bound_socket(unsigned &port) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t n = sizeof address;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr *>(&address), n), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr *>(&address), &n), 0);
    port = ntohs(address.sin_port);
    return fd;
  }
  void serve() {
    server_.async_wait(asio::posix::stream_descriptor::wait_read, [this](ErrorCode e) {
      if (e) return;
      char buffer[2048];
      sockaddr_in from{};
      socklen_t length = sizeof from;
      for (;;) {
        const auto n =
            ::recvfrom(server_.native_handle(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr *>(&from), &length);
        if (n < 0) break;
        ++asked_;
        const std::string query{buffer, static_cast<std::size_t>(n)};
        auto end = query.find('\0', 12) + 1;
        std::string name;
        for (std::size_t i = 12; query[i] != 0; i += 1u + static_cast<unsigned>(query[i]))
          name += (name.empty() ? "" : ".") + query.substr(i + 1, static_cast<unsigned>(query[i]));
        const auto type = static_cast<DnsType>(static_cast<unsigned char>(query[end]) << 8 |
                                               static_cast<unsigned char>(query[end + 1]));
        const auto i = zone_.find({name, type});
        const auto reply = i == zone_.end() ? Reply{.rcode = 3, .authority = {soa("example", 100, 100)}} : i->second;
        if (reply.silent) continue;
        const auto out = response(query.substr(0, 2), query.substr(12, end + 4 - 12), reply);
        ::sendto(server_.native_handle(), out.data(), out.size(), 0, reinterpret_cast<sockaddr *>(&from), length);
      }
      serve();
    });
  }
  Dns &dns(DnsOptions options = {}) {
    if (!dns_) {
      options.servers = {"127.0.0.1:" + std::to_string(port_)};
      options.hosts_file = hosts_;
      dns_ = Dns::create(loop_, clock_, options);
    }
    return *dns_;
  }
  DnsResult ask(std::string_view name, DnsType type) {
    std::optional<DnsResult> got;
    dns().query(name, type, [&](const DnsResult &r) { got = r; });
    EXPECT_FALSE(got) << "answered inside the call";
    run([&] { return got.has_value(); });
    return *got;
  }
  template <class P>
  void run(P until) {
    loop_.restart();
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (!until() && std::chrono::steady_clock::now() < limit) loop_.run_one_for(1s);
    ASSERT_TRUE(until());
  }

  asio::io_context loop_;
  VirtualClock clock_;
  unsigned port_ = 0;
  asio::posix::stream_descriptor server_;
  std::map<std::pair<std::string, DnsType>, Reply> zone_;
  int asked_ = 0;
  std::string hosts_;
  std::unique_ptr<Dns> dns_;
};

TEST_F(DnsTest, AsksTheConfiguredServerOnceUntilTheTtlIsOver) {
  zone_[{"a.example", DnsType::A}] = {.answers = {record("a.example", DnsType::A, 30, k192_0_2_1)}};
  EXPECT_EQ(ask("a.example", DnsType::A)->records.at(0).data, "192.0.2.1");
  clock_.advance(29 * kSecond);
  EXPECT_TRUE(ask("A.Example.", DnsType::A).ok());
  EXPECT_EQ(asked_, 1);
  clock_.advance(1 * kSecond);
  EXPECT_TRUE(ask("a.example", DnsType::A).ok());
  EXPECT_EQ(asked_, 2);
}

TEST_F(DnsTest, KeepsNegativeAnswersForTheirOwnTime) {
  EXPECT_EQ(ask("no.example", DnsType::Mx).error().status, Status::NotFound);
  clock_.advance(99 * kSecond);
  EXPECT_EQ(ask("no.example", DnsType::Mx).error().status, Status::NotFound);
  EXPECT_EQ(asked_, 1);
  clock_.advance(2 * kSecond);
  EXPECT_EQ(ask("no.example", DnsType::Mx).error().status, Status::NotFound);
  EXPECT_EQ(asked_, 2);
}

TEST_F(DnsTest, SharesOneLookupAmongAllWhoAsk) {
  zone_[{"a.example", DnsType::A}] = {.answers = {record("a.example", DnsType::A, 30, k192_0_2_1)}};
  int answers = 0;
  for (int i = 0; i < 100; ++i) dns().query("a.example", DnsType::A, [&](const DnsResult &r) { answers += r.ok(); });
  run([&] { return answers == 100; });
  EXPECT_EQ(asked_, 1);
}

TEST_F(DnsTest, AnswersManyMoreQuestionsThanItHasUnderWay) {
  dns({.lookups_at_once = 50});
  int answers = 0;
  for (int i = 0; i < 1000; ++i)
    dns().query("n" + std::to_string(i) + ".example", DnsType::A, [&](const DnsResult &) { ++answers; });
  run([&] { return answers == 1000; });
}

TEST_F(DnsTest, DefersWhenTheServerIsSilentAndAsksAgainNextTime) {
  zone_[{"slow.example", DnsType::A}] = {.silent = true};
  dns({.timeout = 300 * kMillisecond, .tries = 2});
  EXPECT_EQ(ask("slow.example", DnsType::A).error().status, Status::Defer);
  zone_[{"slow.example", DnsType::A}] = {.answers = {record("slow.example", DnsType::A, 30, k192_0_2_1)}};
  EXPECT_TRUE(ask("slow.example", DnsType::A).ok());
}

TEST_F(DnsTest, DefersOnServerFailure) {
  zone_[{"a.example", DnsType::A}] = {.rcode = 2};
  const auto answer = ask("a.example", DnsType::A);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().status, Status::Defer);
}

TEST_F(DnsTest, FailsNamesThatAreNone) {
  EXPECT_EQ(ask("a..example", DnsType::A).error().status, Status::Fail);
  EXPECT_EQ(asked_, 0);
}

TEST_F(DnsTest, AnswersAddressesLocalhostAndTheHostsFileItself) {
  hosts_ = ::testing::TempDir() + "hosts." + std::to_string(::getpid());
  std::ofstream{hosts_} << "192.0.2.7 Printer.example printer # down the hall\n";
  EXPECT_EQ(ask("localhost", DnsType::Aaaa)->records.at(0).data, "::1");
  EXPECT_EQ(ask("127.0.0.3", DnsType::A)->records.at(0).data, "127.0.0.3");
  EXPECT_EQ(ask("printer.example", DnsType::A)->records.at(0).data, "192.0.2.7");
  EXPECT_EQ(ask("printer.example", DnsType::Aaaa).error().status, Status::NotFound);
  EXPECT_EQ(ask(reverse_name("192.0.2.7"), DnsType::Ptr)->records.at(0).data, "printer.example");
  EXPECT_EQ(asked_, 0);
  ::unlink(hosts_.c_str());
}

TEST_F(DnsTest, ForgetsTheLeastRecentlyUsedAnswerWhenTheCacheIsFull) {
  dns({.cache_entries = 2});
  for (const auto *name : {"a.example", "b.example", "a.example", "c.example", "a.example"})
    (void)ask(name, DnsType::A);
  EXPECT_EQ(asked_, 3);
  (void)ask("b.example", DnsType::A);
  EXPECT_EQ(asked_, 4);
}

TEST_F(DnsTest, CoroutinesWaitForTheAnswer) {
  zone_[{"a.example", DnsType::A}] = {.answers = {record("a.example", DnsType::A, 30, k192_0_2_1)}};
  std::string got;
  asio::co_spawn(
      loop_,
      [](Dns &d, std::string &to) -> Task<> { to = (co_await d.query("a.example", DnsType::A))->records.at(0).data; }(
                                      dns(), got),
      asio::detached);
  run([&] { return !got.empty(); });
  EXPECT_EQ(got, "192.0.2.1");
}

TEST_F(DnsTest, MayGoAwayWhileItWaits) {
  zone_[{"slow.example", DnsType::A}] = {.silent = true};
  dns().query("slow.example", DnsType::A, [](const DnsResult &) { FAIL(); });
  run([&] { return asked_ > 0; });
  dns_.reset();
  loop_.poll();
}

TEST_F(DnsTest, SaysWhyItCannotAskUnusableServers) {
  dns_ = Dns::create(loop_, clock_, {.servers = {"not an address"}, .hosts_file = ""});
  const auto answer = ask("a.example", DnsType::A);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().status, Status::Defer);
}

}  // namespace
}  // namespace mansio::io
