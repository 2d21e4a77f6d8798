// The scanner by itself: what is a record, what is padding, what is damage.
#include "kernel/spool/scan.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernel/spool/messages.hpp"

namespace mansio::spool {
namespace {

FileHeader header_of_segment() {
  FileHeader header;
  header.number = 3;
  header.epoch = 67;
  header.salt = 0x1234567890abcdef;
  return header;
}

constexpr std::uint64_t kAround = 104;  // what a message takes besides its body

void append_message(std::string &file, const FileHeader &header, std::uint32_t ordinal, std::uint64_t body) {
  const RecordSeal seal{header};
  CommitPayload commit;
  const auto add = [&](RecordType type, const std::string &payload, Place &place, std::uint32_t &crc) {
    const auto at = file.size();
    append_record(file, seal, type, ordinal, payload);
    place = {header.number, header.epoch, at + kRecordHeader, payload.size()};
    crc = read_header(std::string_view{file}.substr(at)).crc;
  };
  add(RecordType::Body, std::string(body, 'x'), commit.body, commit.body_crc);
  add(RecordType::Envelope, "envelope", commit.envelope, commit.envelope_crc);
  commit.ordinal = ordinal;
  commit.synced = kFirstRecord;
  const Place place{header.number, header.epoch, file.size() + kRecordHeader, 0};
  append_record(file, seal, RecordType::Commit, ordinal, encode_commit(commit, place));
}

void end_batch(std::string &file) { file.append(round_up(file.size(), kPage) - file.size(), '\0'); }

// Which says that all before it was on stable storage.
void append_seal(std::string &file, const FileHeader &header) {
  append_record(file, RecordSeal{header}, RecordType::Seal, 0, encode_seal(file.size()));
  end_batch(file);
}

void wipe(std::string &file, std::uint64_t from, std::uint64_t to) { file.replace(from, to - from, to - from, '\0'); }

struct Scanned {
  Scanned(const std::string &file, const FileHeader &header) {
    MemoryBytes bytes{file};
    scan = scan_records(bytes, header, kFirstRecord, [&](const Record &r) { types.push_back(r.header.type); });
    report = find_messages(bytes, header, 0, false, [&](const FoundCommit &found) {
      if (found.intact) intact.push_back(found.message.id.value);
    });
  }
  Scan scan;
  std::vector<RecordType> types;
  SegmentReport report;
  std::vector<std::uint64_t> intact;
};

// A file with a batch that leaves `rest` bytes of its last page, and a SEAL on the next page.
std::string two_batches(const FileHeader &header, std::uint64_t rest) {
  std::string file = encode_header(header);
  append_message(file, header, 1, kPage - kAround - rest);
  EXPECT_EQ(file.size(), 2 * kPage - rest);
  end_batch(file);
  append_seal(file, header);
  return file;
}

TEST(Scan, PaddingOfAnyLengthBetweenBatchesIsNotDamage) {
  const auto header = header_of_segment();
  for (std::uint64_t rest = 0; rest < 64; rest += 8) {
    const Scanned seen{two_batches(header, rest), header};
    EXPECT_EQ(seen.types, (std::vector{RecordType::Body, RecordType::Envelope, RecordType::Commit, RecordType::Seal}))
        << rest;
    EXPECT_TRUE(seen.scan.gaps.empty()) << rest;
  }
}

TEST(Scan, APageThatDoesNotVerifyBelowWhatWasSyncedIsDamage) {
  const auto header = header_of_segment();
  auto file = two_batches(header, 16);
  file.replace(kPage, kPage, kPage, 'y');
  const Scanned seen{file, header};
  ASSERT_EQ(seen.scan.gaps.size(), 1u);
  EXPECT_TRUE(seen.scan.gaps[0].damage);
  EXPECT_EQ(seen.scan.gaps[0].from, kPage);
  EXPECT_EQ(seen.scan.gaps[0].to, 2 * kPage);
}

TEST(Scan, PaddingIsZeroToTheEndOfItsPage) {
  const auto header = header_of_segment();
  auto file = two_batches(header, 64);
  file[2 * kPage - 1] = 1;
  const Scanned seen{file, header};
  ASSERT_EQ(seen.scan.gaps.size(), 1u);
  EXPECT_TRUE(seen.scan.gaps[0].damage);
  EXPECT_EQ(seen.scan.gaps[0].from, 2 * kPage - 64);
  EXPECT_EQ(seen.scan.gaps[0].to, 2 * kPage);
}

TEST(Scan, AMessageWhoseFirstSectorReadsAsZerosHidesNoneBehindItInItsPage) {
  const auto header = header_of_segment();
  for (const bool synced : {true, false}) {
    SCOPED_TRACE(synced);
    std::string file = encode_header(header);
    for (std::uint32_t ordinal = 1; ordinal <= 3; ++ordinal) append_message(file, header, ordinal, 1024 - kAround);
    ASSERT_EQ(file.size(), kPage + 3 * 1024);
    end_batch(file);
    if (synced) append_seal(file, header);
    wipe(file, kPage + 1024, kPage + 1024 + 512);
    const Scanned seen{file, header};
    ASSERT_EQ(seen.scan.gaps.size(), 1u);
    EXPECT_EQ(seen.scan.gaps[0].damage, synced);
    EXPECT_EQ(seen.scan.gaps[0].from, kPage + 1024);
    EXPECT_EQ(seen.scan.gaps[0].to, kPage + 2 * 1024 - kAround + kRecordHeader);  // the second one's envelope
    EXPECT_EQ(seen.intact, (std::vector<std::uint64_t>{1, 3}));
    EXPECT_EQ(seen.report.commits, 3u);
  }
}

// What comes next begins with a page, so nothing else would show that something is gone.
TEST(Scan, ZerosBehindARecordWithWhichNoBatchEndsAreNoPadding) {
  const auto header = header_of_segment();
  std::string file = encode_header(header);
  append_message(file, header, 1, 1024 - kAround);
  append_message(file, header, 2, 512 - kRecordHeader);
  const auto envelope = kPage + 1024 + 512;
  ASSERT_GT(file.size(), envelope);
  end_batch(file);
  append_message(file, header, 3, 1024 - kAround);
  end_batch(file);
  append_seal(file, header);
  wipe(file, envelope, 2 * kPage);
  const Scanned seen{file, header};
  ASSERT_EQ(seen.scan.gaps.size(), 1u);
  EXPECT_TRUE(seen.scan.gaps[0].damage);
  EXPECT_EQ(seen.scan.gaps[0].from, envelope);
  EXPECT_EQ(seen.scan.gaps[0].to, 2 * kPage);
  EXPECT_EQ(seen.intact, (std::vector<std::uint64_t>{1, 3}));
}

TEST(Scan, WhatIsLostFromTheEndOfACommitToTheEndOfItsPageIsToldByTheOrdinals) {
  const auto header = header_of_segment();
  std::string file = encode_header(header);
  for (std::uint32_t ordinal = 1; ordinal <= 2; ++ordinal) append_message(file, header, ordinal, 1024 - kAround);
  end_batch(file);
  append_message(file, header, 3, 1024 - kAround);
  end_batch(file);
  append_seal(file, header);
  wipe(file, kPage + 1024, 2 * kPage);
  const Scanned seen{file, header};
  EXPECT_TRUE(seen.scan.gaps.empty());
  EXPECT_EQ(seen.report.missing, 1u);
  EXPECT_EQ(seen.intact, (std::vector<std::uint64_t>{1, 3}));
}

TEST(Scan, BehindALargeBodyAloneThereIsNoGap) {
  auto header = header_of_segment();
  for (const auto kind : {FileKind::LargeBody, FileKind::Segment}) {
    header.kind = kind;
    for (const char tail : {'\0', 'y'})
      for (const std::uint64_t length : {0, 100, 4096, 20'000}) {
        const std::string body(5000, 'x');
        RecordHeader large;
        large.id = 1;
        large.gap = 100;
        RecordSeal{header}.finish(large, body);
        std::string file = encode_header(header);
        append_header(file, large);
        file.append(large.gap, '\0');
        file += body;
        file.append(length, tail);
        const Scanned seen{file, header};
        EXPECT_EQ(seen.types, std::vector{RecordType::Body});
        EXPECT_TRUE(seen.scan.gaps.empty()) << length;
      }
  }
}

TEST(Scan, AFileForOneLargeMessageMayHoldAnOrdinaryBatch) {
  auto header = header_of_segment();
  header.kind = FileKind::LargeBody;
  std::string file = encode_header(header);
  append_message(file, header, 1, 2 * kPage);
  end_batch(file);
  append_seal(file, header);
  const Scanned seen{file, header};
  EXPECT_TRUE(seen.scan.gaps.empty());
  EXPECT_EQ(seen.intact, std::vector<std::uint64_t>{1});
}

}  // namespace
}  // namespace mansio::spool
