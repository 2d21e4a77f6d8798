// FilteredMessage: the content of a message, or of a version of one, between its client and the commit, as filters see
// and change it. They get copies; the draft is written anew, once, if anything was changed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/host/filter.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/mail/edits.hpp"
#include "kernel/mail/headers.hpp"
#include "kernel/spool/writer.hpp"

namespace mansio::ingress {

class FilteredMessage {
 public:
  // `scanner` has seen the whole draft.
  struct Limits {
    std::uint64_t size, line_length;  // octets
  };
  FilteredMessage(asio::io_context &loop, spool::Writer &writer, std::unique_ptr<spool::Draft> draft,
                  const ContentScanner &scanner, Limits limits);

  Task<Result<void>> open();  // before anything else

  std::shared_ptr<const host::FilterContent> content() const { return content_; }
  std::uint64_t size() const { return content_->file.size(); }
  std::string_view header() const { return header_; }  // the section, without the empty line
  std::uint64_t body_begin() const { return body_begin_; }
  Result<std::string> read(std::uint64_t offset, std::size_t n) const;  // up to n bytes

  // Edits of headers and body. On an error the message is as it was: Busy, or the edits are too much.
  Task<Result<void>> apply(const EditList &edits);
  // One that is as this one is now, and shares its bytes.
  std::unique_ptr<FilteredMessage> version() const;
  // The draft to commit; `scanner` has seen all of it then.
  Task<Result<std::unique_ptr<spool::Draft>>> finish(ContentScanner &scanner);

 private:
  FilteredMessage(const FilteredMessage &from, std::shared_ptr<const host::FilterContent> content);

  asio::io_context &loop_;
  spool::Writer &writer_;
  std::unique_ptr<spool::Draft> draft_;
  std::shared_ptr<const host::FilterContent> content_;
  std::string header_;
  std::uint64_t body_begin_ = 0;
  const std::uint64_t header_size_;
  const Limits limits_;
  bool ended_ = false;    // the header section by an empty line; else there is no body, or it begins without one
  bool changed_ = false;  // against the draft
};

}  // namespace mansio::ingress
