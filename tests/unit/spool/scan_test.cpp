// The scanner by itself: what is a record, what is padding, what is damage.
#include "kernel/spool/scan.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mansio::spool {
namespace {

FileHeader header_of_segment() {
  FileHeader header;
  header.number = 3;
  header.epoch = 67;
  header.salt = 0x1234567890abcdef;
  return header;
}

// A file with a batch that leaves `rest` bytes of its last page, and a SEAL on the next page.
std::string two_batches(const FileHeader &header, std::uint64_t rest) {
  const RecordSeal seal{header};
  std::string file = encode_header(header);
  append_record(file, seal, RecordType::Body, 1, std::string(kPage - kRecordHeader - rest, 'x'));
  file.append(rest, '\0');
  append_record(file, seal, RecordType::Seal, 0, encode_seal(file.size()));
  file.append(kPage - file.size() % kPage, '\0');
  return file;
}

TEST(Scan, PaddingOfAnyLengthBetweenBatchesIsNotDamage) {
  const auto header = header_of_segment();
  for (std::uint64_t rest = 0; rest < 64; rest += 8) {
    const auto file = two_batches(header, rest);
    MemoryBytes bytes{file};
    std::vector<RecordType> types;
    const auto scan =
        scan_records(bytes, header, kFirstRecord, [&](const Record &r) { types.push_back(r.header.type); });
    EXPECT_EQ(types, (std::vector{RecordType::Body, RecordType::Seal})) << rest;
    EXPECT_TRUE(scan.gaps.empty()) << rest << ": " << scan.gaps.front().from << " to " << scan.gaps.front().to;
  }
}

TEST(Scan, APageThatDoesNotVerifyBelowWhatWasSyncedIsDamage) {
  const auto header = header_of_segment();
  auto file = two_batches(header, 16);
  file[kPage + 100] ^= 1;
  MemoryBytes bytes{file};
  const auto scan = scan_records(bytes, header, kFirstRecord, [](const Record &) {});
  ASSERT_EQ(scan.gaps.size(), 1u);
  EXPECT_TRUE(scan.gaps[0].damage);
  EXPECT_EQ(scan.gaps[0].from, kPage);
  EXPECT_EQ(scan.gaps[0].to, 2 * kPage);
}

}  // namespace
}  // namespace mansio::spool
