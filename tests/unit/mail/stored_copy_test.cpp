// What is kept in a store, and under which name.
#include "kernel/mail/stored_copy.hpp"

#include <gtest/gtest.h>

#include <cctype>
#include <limits>
#include <string>
#include <unordered_set>
#include <vector>

#include "kernel/base/crc32c.hpp"
#include "kernel/mail/store_key.hpp"

namespace mansio {
namespace {

TEST(StoreKey, IsTextThatAnyFileSystemTakes) {
  const StoreKey key{0x7123456789abcdef, MessageId::make(1, 2, 3)};
  const auto text = to_string(key);
  EXPECT_EQ(text.size(), 27u);
  EXPECT_EQ(text.find_first_not_of("0123456789ABCDEFGHJKMNPQRSTVWXYZ-"), std::string::npos);
  EXPECT_EQ(parse_store_key(text), key);
  const StoreKey most{std::numeric_limits<std::uint64_t>::max(), MessageId{std::numeric_limits<std::uint64_t>::max()}};
  EXPECT_EQ(parse_store_key(to_string(most)), most);
}

TEST(StoreKey, HasOneForm) {
  const auto text = to_string(StoreKey{0x7123456789abcdef, MessageId{0x1234567}});
  auto lower = text;
  for (auto &c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const auto &other : {lower, text + "0", text.substr(1), std::string{}, std::string(27, '-'),
                            to_string(StoreKey{0, MessageId{1}}), to_string(StoreKey{1, MessageId{0}})})
    EXPECT_FALSE(parse_store_key(other)) << other;
}

TEST(StoreKey, TellsSpoolsApart) {
  std::unordered_set<StoreKey> all;
  for (std::uint64_t spool = 1; spool <= 3; ++spool)
    for (std::uint64_t id = 1; id <= 3; ++id) EXPECT_TRUE(all.insert({spool, MessageId{id}}).second);
  EXPECT_TRUE(all.contains({2, MessageId{3}}));
  EXPECT_FALSE(all.contains({4, MessageId{1}}));
}

TEST(CopyHead, ComesBack) {
  const CopyHead head{1234, 0xdeadbeef, 5'000'000'000, 0x12345678};
  const auto bytes = encode_copy_head(head);
  ASSERT_EQ(bytes.size(), kCopyHead);
  const auto read = decode_copy_head(bytes + "what follows");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->envelope_length, head.envelope_length);
  EXPECT_EQ(read->envelope_crc, head.envelope_crc);
  EXPECT_EQ(read->body_length, head.body_length);
  EXPECT_EQ(read->body_crc, head.body_crc);
}

TEST(CopyHead, IsNotBelievedWhenABitIsWrong) {
  const auto bytes = encode_copy_head({1, 2, 3, 4});
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    auto wrong = bytes;
    wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(decode_copy_head(wrong).ok()) << bit;
  }
  EXPECT_FALSE(decode_copy_head(bytes.substr(1)).ok());
  EXPECT_FALSE(decode_copy_head(bytes.substr(0, kCopyHead - 1)).ok());
}

TEST(CopyHead, OfALaterVersionIsNotTakenForDamage) {
  auto bytes = encode_copy_head({1, 2, 3, 4});
  bytes[8] = 2;
  bytes.resize(kCopyHead - 4);
  const auto crc = crc32c(bytes);
  bytes.append(reinterpret_cast<const char *>(&crc), sizeof crc);
  const auto read = decode_copy_head(bytes);
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.error().text.find("version"), std::string::npos);
}

TEST(DoneRecipients, ComeBack) {
  for (const auto &done : {std::vector<bool>{}, std::vector<bool>{false}, std::vector<bool>{true},
                           std::vector<bool>{false, true, true, false, true}, std::vector<bool>(1000, true)})
    EXPECT_EQ(decode_done(encode_done(done), done.size()), done);
  EXPECT_EQ(decode_done("", 2), std::vector<bool>(2, false));
}

TEST(DoneRecipients, AreLeftOutWhereThereIsNoRoomButNeverInvented) {
  std::vector<bool> done(100'000);
  for (std::size_t i = 0; i < done.size(); i += 2) done[i] = true;
  const auto bytes = encode_done(done, 1000);
  EXPECT_LE(bytes.size(), 1000u);
  const auto read = decode_done(bytes, done.size());
  ASSERT_TRUE(read);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < done.size(); ++i) {
    EXPECT_FALSE((*read)[i] && !done[i]) << i;
    kept += (*read)[i];
  }
  EXPECT_GT(kept, 400u);
}

TEST(DoneRecipients, OfMoreThanThereAreAreDamage) {
  const auto bytes = encode_done({false, true, true});
  EXPECT_TRUE(decode_done(bytes, 3));
  EXPECT_FALSE(decode_done(bytes, 2));
  EXPECT_FALSE(decode_done(std::string{"\x02", 1}, 2));          // another encoding
  EXPECT_FALSE(decode_done(std::string{"\x01\x00\x00", 3}, 2));  // a run of none
  EXPECT_FALSE(decode_done(std::string{"\x01\x00", 2}, 2));      // and none at all
  EXPECT_FALSE(decode_done("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01", 2));
}

}  // namespace
}  // namespace mansio
