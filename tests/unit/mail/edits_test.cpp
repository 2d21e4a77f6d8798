// Edits of a header section: what a filter wants changed is changed, and nothing else.
#include "kernel/mail/edits.hpp"

#include <gtest/gtest.h>

namespace mansio {
namespace {

constexpr std::string_view kSection = "Received: one\r\nSubject: a\r\n folded\r\nReceived: two\r\nX-Spam: no\r\n";

std::string edited(const std::vector<Edit> &edits, std::string_view section = kSection) {
  return edited_headers(section, edits_by_version(edits).front());
}

TEST(Edits, AddInsertChangeAndDeleteFieldsInTheirOrder) {
  EXPECT_EQ(edited({{EditKind::AddHeader, 0, "X-New", "1"}}), std::string{kSection} + "X-New: 1\r\n");
  EXPECT_EQ(edited({{EditKind::InsertHeader, 1, "X-New", "1"}}),
            "Received: one\r\nX-New: 1\r\nSubject: a\r\n folded\r\nReceived: two\r\nX-Spam: no\r\n");
  EXPECT_EQ(edited({{EditKind::InsertHeader, 99, "X-New", "1"}}), std::string{kSection} + "X-New: 1\r\n");
  EXPECT_EQ(edited({{EditKind::ChangeHeader, 1, "subject", "b"}, {EditKind::DeleteHeader, 2, "RECEIVED", ""}}),
            "Received: one\r\nsubject: b\r\nX-Spam: no\r\n");
  EXPECT_EQ(edited({{EditKind::DeleteHeader, 1, "Received", ""}, {EditKind::DeleteHeader, 1, "Received", ""}}),
            "Subject: a\r\n folded\r\nX-Spam: no\r\n");
}

TEST(Edits, ThatFindNoFieldAddItOrDoNothing) {
  EXPECT_EQ(edited({{EditKind::DeleteHeader, 2, "Subject", ""}}), kSection);
  EXPECT_EQ(edited({{EditKind::ChangeHeader, 1, "X-None", "1"}}), std::string{kSection} + "X-None: 1\r\n");
}

TEST(Edits, KeepTheBlankThatAValueBeginsWith) {
  EXPECT_EQ(edited({{EditKind::AddHeader, 0, "A", "\tx"}}, ""), "A:\tx\r\n");
  EXPECT_EQ(edited({{EditKind::AddHeader, 0, "A", ""}}, ""), "A: \r\n");
}

TEST(Edits, LeaveWhatIsNoFieldWhereItWas) {
  EXPECT_EQ(edited({{EditKind::DeleteHeader, 1, "A", ""}}, "A: 1\r\nno field\r\n"), "no field\r\n");
}

TEST(Edits, OfAVersionBeginWithThoseBeforeIt) {
  const std::vector<Edit> edits{
      {EditKind::AddHeader, 0, "X-All", "1"},           {EditKind::ReplaceBody, 0, "", "all"},
      {EditKind::Version, 1, "", "a@b.example"},        {EditKind::Version, 1, "", "c@b.example"},
      {EditKind::AddHeader, 0, "X-One", "1", 1},        {EditKind::AddHeader, 0, "X-Rest", "1"},
      {EditKind::ReplaceBody, 0, "", " the rest"},      {EditKind::SetSender, 0, "", "s@b.example"},
      {EditKind::Version, 2, "", "d@b.example"},        {EditKind::ReplaceBody, 0, "", "two", 2},
      {EditKind::ReplaceBody, 0, "", " of its own", 2}, {EditKind::AddHeader, 0, "X-None", "1", 3}};
  const auto texts = [&](const EditList &list) {
    std::string out;
    for (const auto *edit : list) out += edit->name + edit->value + '|';
    return out;
  };
  const auto lists = edits_by_version(edits);
  ASSERT_EQ(lists.size(), 3u);
  EXPECT_EQ(texts(lists[0]), "X-All1|all|X-Rest1| the rest|");
  EXPECT_EQ(texts(lists[1]), "X-All1|all|X-One1|");
  EXPECT_EQ(texts(lists[2]), "X-All1|X-Rest1|two| of its own|");
}

TEST(HeaderValues, AreMadeCanonical) {
  EXPECT_EQ(canonical_header_value("A", "one\n two\r\n\tthree\rfour"), "one\r\n two\r\n\tthree four");
  EXPECT_EQ(canonical_header_value("A", ""), "");
}

TEST(HeaderValues, CannotBeginAFieldALineOrTheBody) {
  for (const auto *bad : {"a\nB: c", "a\r\n\r\nbody", "a\n", "a\r\n", "a\n \n b", "a\n "})
    EXPECT_FALSE(canonical_header_value("A", bad)) << bad;
  EXPECT_FALSE(canonical_header_value("A", std::string(1, '\0')));
  EXPECT_FALSE(canonical_header_value("A", std::string(998, 'x')));
  EXPECT_TRUE(canonical_header_value("A", std::string(995, 'x')));
  EXPECT_TRUE(canonical_header_value("A", std::string(900, 'x') + "\n " + std::string(900, 'x')));
}

TEST(HeaderNames, AreOfPrintableAscii) {
  EXPECT_TRUE(is_header_name("X-Spam_1"));
  for (const auto *bad : {"", "a b", "a:", "\xc3\xbc", "a\r\n"}) EXPECT_FALSE(is_header_name(bad)) << bad;
  EXPECT_FALSE(is_header_name(std::string(101, 'x')));
}

}  // namespace
}  // namespace mansio
