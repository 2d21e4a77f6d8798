// Mail that comes back from a store, made into a message of this spool. The store may be another machine's disk, years
// old: nothing that it gives is believed beyond its checksums.
#include "kernel/router/restorer.hpp"

#include <gmock/gmock.h>

#include <limits>

#include "kernel/base/crc32c.hpp"
#include "kernel/process/memfd.hpp"

namespace mansio::router {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

constexpr StoreKey kKey{77, MessageId{1234}};

class RestorerTest : public ::testing::Test {
 protected:
  RestorerTest() {
    envelope_.sender = "a@example.com";
    for (const auto *who : {"b@example.org", "c@example.org", "d@example.org"})
      envelope_.recipients.emplace_back().address = who;
    envelope_.metadata.emplace_back("seen.by", "someone");
  }
  std::string octets() const {
    const auto envelope = encode_envelope(envelope_);
    CopyHead head;
    head.envelope_length = static_cast<std::uint32_t>(envelope.size());
    head.envelope_crc = crc32c(envelope);
    head.body_length = body_.size();
    head.body_crc = crc32c(body_);
    return encode_copy_head(head) + envelope + body_;
  }
  static Result<OpenedCopy> open(const std::string &octets, std::string_view record = {}, bool hold = false) {
    auto fd = process::sealed_memfd("copy", octets);
    if (!fd) return fd.error();
    return open_copy({std::move(*fd), octets.size()}, record, kKey, hold);
  }
  static std::vector<std::string> recipients(const OpenedCopy &copy) {
    std::vector<std::string> out;
    for (const auto &r : copy.envelope.recipients) out.push_back(r.address);
    return out;
  }
  static void expect_damaged(const std::string &octets) {
    const auto copy = open(octets);
    ASSERT_FALSE(copy);
    EXPECT_EQ(copy.error().status, Status::Fail) << copy.error().text;
  }
  Envelope envelope_;
  std::string body_ = "Received: from there\r\nSubject: hello\r\n\r\nHello.\r\n";
};

TEST_F(RestorerTest, GivesTheMessageAsItWasCommitted) {
  const auto bytes = octets();
  const auto copy = open(bytes);
  ASSERT_TRUE(copy) << copy.error().text;
  EXPECT_EQ(copy->envelope.sender, "a@example.com");
  EXPECT_EQ(recipients(*copy), (std::vector<std::string>{"b@example.org", "c@example.org", "d@example.org"}));
  EXPECT_EQ(copy->envelope.metadata, envelope_.metadata);
  EXPECT_EQ(copy->envelope.hold_until, 0);
  EXPECT_EQ(copy->head.body_crc, crc32c(body_));
  EXPECT_EQ(bytes.substr(copy->body_at), body_);
}

TEST_F(RestorerTest, NamesWhatItWasInTheStore) {
  const auto copy = open(octets());
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->envelope.restored, kKey);
  envelope_.restored = {5, MessageId{6}};  // it had come back once before
  const auto again = open(octets());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->envelope.restored, kKey);
}

TEST_F(RestorerTest, LeavesOutRecipientsThatAreDone) {
  const auto some = open(octets(), encode_done({true, false, true}));
  ASSERT_TRUE(some);
  EXPECT_EQ(recipients(*some), (std::vector<std::string>{"c@example.org"}));
  const auto none = open(octets(), encode_done({true, true, true}));
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->envelope.recipients.empty());
}

TEST_F(RestorerTest, ANotificationNoLongerNamesTheMessageItIsAbout) {
  envelope_.sender.clear();
  envelope_.dsn_parent.id = MessageId{99};
  const auto copy = open(octets());
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->envelope.dsn_parent.id, MessageId{});
}

TEST_F(RestorerTest, HoldsWhatIsToBeLookedAtFirst) {
  envelope_.metadata.emplace_back("mansio.hold_reason", "a filter's");
  const auto copy = open(octets(), {}, true);
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->envelope.hold_until, std::numeric_limits<Nanos>::max());
  EXPECT_THAT(copy->envelope.metadata,
              ElementsAre(Pair("seen.by", "someone"), Pair("mansio.hold_reason", "restored from a store")));
}

TEST_F(RestorerTest, TakesNoCopyThatIsDamaged) {
  const auto good = octets();
  expect_damaged("");
  expect_damaged(good.substr(0, kCopyHead - 1));
  expect_damaged(good.substr(0, good.size() - 1));
  expect_damaged(good + "x");
  for (std::size_t at = 0; at < good.size() - body_.size(); ++at) {
    auto bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    expect_damaged(bad);
  }
}

// Its checksum is right, and its lengths add up to the copy's once they wrap.
TEST_F(RestorerTest, BelievesNoHeadWhoseLengthsNothingCanHave) {
  CopyHead head;
  head.envelope_length = UINT32_MAX;
  auto bytes = std::string(kCopyHead, '\0') + body_;
  head.body_length = bytes.size() - kCopyHead - head.envelope_length;
  bytes.replace(0, kCopyHead, encode_copy_head(head));
  expect_damaged(bytes);
}

TEST_F(RestorerTest, ReadsTheBodyLater) {
  auto bytes = octets();
  bytes.back() = 'x';
  const auto copy = open(bytes);
  ASSERT_TRUE(copy);  // who copies it compares it with the head
  EXPECT_NE(crc32c(bytes.substr(copy->body_at)), copy->head.body_crc);
}

TEST_F(RestorerTest, TakesNoCopyWhoseRecordNoVersionWrites) {
  for (const std::string record : {"\x01\x03\x01", "\x01\x7f\x7f", "\x02"}) {
    const auto copy = open(octets(), record);
    ASSERT_FALSE(copy);
    EXPECT_EQ(copy.error().status, Status::Fail);
  }
}

}  // namespace
}  // namespace mansio::router
