// Another header before a message that stays where it is.
#include "kernel/egress/new_header.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "kernel/io/fd.hpp"

namespace mansio::egress {
namespace {

class NewHeaderTest : public ::testing::Test {
 protected:
  // Each piece lies in a descriptor of its own, behind bytes that are not the message's.
  host::MessageSource message(const std::vector<std::string> &pieces) {
    host::MessageSource out;
    auto keep = std::make_shared<std::vector<io::UniqueFd>>();
    for (const auto &piece : pieces) {
      io::UniqueFd fd{::memfd_create("piece", MFD_CLOEXEC)};
      const auto bytes = "before" + piece + "behind";
      EXPECT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
      out.slices.push_back({sizeof(mansio_slice), fd.get(), 6, piece.size()});
      keep->push_back(std::move(fd));
    }
    out.keep = std::move(keep);
    return out;
  }
  static std::string text(const host::MessageSource &message) {
    std::string out;
    for (const auto &slice : message.slices) {
      std::string piece(slice.length, '\0');
      EXPECT_EQ(::pread(slice.fd, piece.data(), piece.size(), static_cast<off_t>(slice.offset)),
                static_cast<ssize_t>(piece.size()));
      out += piece;
    }
    return out;
  }
  std::string header(const std::vector<std::string> &pieces) {
    const auto read = read_header(message(pieces));
    return read ? *read : "error: " + read.error().text;
  }
};

TEST_F(NewHeaderTest, IsReadUpToTheEmptyLine) {
  EXPECT_EQ(header({"From: a@b\r\nTo: c@d\r\n\r\nTo: body\r\n"}), "From: a@b\r\nTo: c@d\r\n");
  EXPECT_EQ(header({"From: a@", "b\r\nTo: c@d\r\n\r", "\nTo: body\r\n"}), "From: a@b\r\nTo: c@d\r\n");
}

TEST_F(NewHeaderTest, OfAMessageWithoutABodyIsAllOfIt) { EXPECT_EQ(header({"From: a@b\r\n"}), "From: a@b\r\n"); }

TEST_F(NewHeaderTest, MayBeNone) {
  EXPECT_EQ(header({"\r\nbody\r\n"}), "");
  EXPECT_EQ(header({}), "");
  EXPECT_EQ(header({"no field\r\n"}), "");
}

TEST_F(NewHeaderTest, MayBeLong) {
  std::string section;
  for (int i = 0; i < 3000; ++i) section += "X-Field-" + std::to_string(i) + ": some text\r\n";
  EXPECT_EQ(header({section + "\r\nbody\r\n"}), section);
}

TEST_F(NewHeaderTest, ThatCannotBeReadIsAnError) {
  auto source = message({"From: a@b\r\n\r\n"});
  source.slices[0].length += 1000;
  source.slices[0].offset += 1000;
  const auto read = read_header(source);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().status, Status::Defer);
}

TEST_F(NewHeaderTest, StandsBeforeTheRestOfTheMessage) {
  const auto old = message({"From: a@b\r\n\r\nbo", "dy\r\n"});
  auto changed = with_header(old, 11, "From: longer@example.com\r\n");
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(text(*changed), "From: longer@example.com\r\n\r\nbody\r\n");
  ASSERT_EQ(changed->slices.size(), 3u);
  EXPECT_EQ(changed->slices[2].fd, old.slices[1].fd);  // not a copy
  EXPECT_EQ(text(old), "From: a@b\r\n\r\nbody\r\n");
}

TEST_F(NewHeaderTest, LeavesOutSlicesThatItReplacesAltogether) {
  auto changed = with_header(message({"From: ", "a@b\r\n", "\r\nbody\r\n"}), 11, "To: x\r\n");
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(changed->slices.size(), 2u);
  EXPECT_EQ(text(*changed), "To: x\r\n\r\nbody\r\n");  // readable still: it keeps what it needs
}

}  // namespace
}  // namespace mansio::egress
