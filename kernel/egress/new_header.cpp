#include "kernel/egress/new_header.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "kernel/mail/headers.hpp"
#include "kernel/process/memfd.hpp"

namespace mansio::egress {
namespace {

constexpr std::uint64_t kPiece = 8192;  // most headers need one

// What a message of two parts needs to stay readable.
struct Both {
  io::UniqueFd header;
  std::shared_ptr<const void> rest;
};

}  // namespace

Result<std::string> read_header(const host::MessageSource &message) {
  std::string text;
  ContentScanner scanner;
  for (const auto &slice : message.slices) {
    for (std::uint64_t done = 0; done < slice.length && scanner.in_header();) {
      const auto at = text.size();
      const auto wanted = std::min(kPiece, slice.length - done);
      text.resize(at + wanted);
      const auto n = ::pread(slice.fd, text.data() + at, wanted, static_cast<off_t>(slice.offset + done));
      if (n < 0 && errno == EINTR) {
        text.resize(at);
        continue;
      }
      if (n <= 0)
        return Error{Status::Defer, n == 0 ? std::string{"the spool ends before the message"}
                                           : std::string{"read of the message: "} + std::strerror(errno)};
      text.resize(at + static_cast<std::size_t>(n));
      scanner.feed(std::string_view{text}.substr(at));
      done += static_cast<std::uint64_t>(n);
    }
    if (!scanner.in_header()) break;
  }
  scanner.finish();
  // Whole lines: what was read beyond them may end within an address.
  text.resize(std::min<std::uint64_t>(text.size(), scanner.header_size()));
  text.resize(header_section(text).size());
  return text;
}

Result<host::MessageSource> with_header(const host::MessageSource &message, std::uint64_t length,
                                        std::string_view header) {
  auto fd = process::sealed_memfd("header", header);
  if (!fd) return fd.error();
  host::MessageSource out;
  if (!header.empty()) out.slices.push_back({sizeof(mansio_slice), fd->get(), 0, header.size()});
  for (auto slice : message.slices) {
    const auto left_out = std::min(length, slice.length);
    length -= left_out;
    slice.offset += left_out;
    slice.length -= left_out;
    if (slice.length > 0) out.slices.push_back(slice);
  }
  out.keep = std::make_shared<const Both>(Both{std::move(*fd), message.keep});
  return out;
}

}  // namespace mansio::egress
