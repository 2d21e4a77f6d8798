#include "kernel/ingress/filtered_message.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "kernel/ingress/data.hpp"

namespace mansio::ingress {
namespace {

constexpr std::size_t kBlock = 64 * 1024;
constexpr std::uint64_t kTurn = 1024 * 1024;  // copied before others have theirs

}  // namespace

FilteredMessage::FilteredMessage(asio::io_context &loop, spool::Writer &writer, std::unique_ptr<spool::Draft> draft,
                                 const ContentScanner &scanner, Limits limits)
    : loop_(loop), writer_(writer), draft_(std::move(draft)), header_size_(scanner.header_size()), limits_(limits) {}

Task<Result<void>> FilteredMessage::open() {
  auto copy = co_await draft_->copy();
  if (!copy) co_return copy.error();
  auto content = std::make_shared<host::FilterContent>();
  content->file = std::move(copy->content);
  content->keep = std::move(copy->keep);
  content_ = std::move(content);
  auto section = read(0, header_size_ + 2);
  if (!section) co_return section.error();
  ended_ = std::string_view{*section}.substr(header_size_) == "\r\n";
  body_begin_ = header_size_ + (ended_ ? 2 : 0);
  section->resize(header_size_);
  header_ = std::move(*section);
  co_return Result<void>{};
}

Result<std::string> FilteredMessage::read(std::uint64_t offset, std::size_t n) const {
  std::string out(static_cast<std::size_t>(std::min<std::uint64_t>(n, size() - std::min(offset, size()))), '\0');
  for (std::size_t done = 0; done < out.size();) {
    const auto got =
        ::pread(content_->file.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Error{Status::Defer, "the copy of the message cannot be read", {4, 3, 0}};
    done += static_cast<std::size_t>(got);
  }
  return out;
}

// It has no draft: those bytes are another's.
FilteredMessage::FilteredMessage(const FilteredMessage &from, std::shared_ptr<const host::FilterContent> content)
    : loop_(from.loop_),
      writer_(from.writer_),
      content_(std::move(content)),
      header_(from.header_),
      body_begin_(from.body_begin_),
      header_size_(from.header_size_),
      limits_(from.limits_),
      ended_(from.ended_),
      changed_(true) {}

std::unique_ptr<FilteredMessage> FilteredMessage::version() const {
  return std::unique_ptr<FilteredMessage>{new FilteredMessage(*this, content_)};
}

Task<Result<void>> FilteredMessage::apply(const EditList &edits) {
  const bool of_header = std::ranges::any_of(edits, [](const Edit *e) { return edits_header(e->kind); });
  std::optional<std::string> body;
  for (const auto *edit : edits)
    if (edit->kind == EditKind::ReplaceBody) {
      if (!body) body.emplace();
      *body += edit->value;
    }
  if (!of_header && !body) co_return Result<void>{};

  auto header = edited_headers(header_, edits);
  // What ends the section; where the body began without an empty line, fields may have no end without one.
  const bool ends = ended_ || body || (of_header && body_begin_ < size());
  const auto length = header.size() + (ends ? 2 : 0) + (body ? body->size() : size() - body_begin_);
  if (length > limits_.size && length > size()) co_return Error{Status::Fail, "it makes the message too large"};
  auto next = std::make_shared<host::FilterContent>();
  next->keep = writer_.reserve_memory(length);
  if (!next->keep) co_return Error{Status::Busy, "copy of the message: other messages have the memory", {4, 3, 1}};
  auto memfd = writer_.memfd();
  if (!memfd) co_return memfd.error();
  auto written = memfd->write(header);
  if (written && ends) written = memfd->write("\r\n");
  if (!written) co_return written.error();
  if (body) {
    ContentDecoder decoder{ContentDecoder::Framing::Bdat, limits_.line_length};
    std::string_view rest{*body};
    written = memfd->write(decoder.feed(rest));
    if (written) written = memfd->write(decoder.finish());
    if (!written) co_return written.error();
    if (decoder.line_too_long()) co_return Error{Status::Fail, "its new body has a line that is too long"};
  } else {
    for (auto at = body_begin_; at < size(); at += kBlock) {
      const auto block = read(at, kBlock);
      written = block ? memfd->write(*block) : block.error();
      if (!written) co_return written.error();
      if ((at - body_begin_) % kTurn == kTurn - kBlock) co_await asio::post(loop_, asio::use_awaitable);
    }
  }
  next->file = std::move(*memfd);
  header_ = std::move(header);
  ended_ = ends;
  body_begin_ = header_.size() + (ends ? 2 : 0);
  content_ = std::move(next);
  changed_ = true;
  co_return Result<void>{};
}

Task<Result<std::unique_ptr<spool::Draft>>> FilteredMessage::finish(ContentScanner &scanner) {
  if (!changed_) co_return std::move(draft_);
  draft_.reset();
  auto draft = writer_.begin();
  ContentScanner anew;
  for (std::uint64_t at = 0; at < size(); at += kBlock) {
    const auto block = read(at, kBlock);
    if (!block) co_return block.error();
    anew.feed(*block);
    const auto stored = co_await draft->append(*block);
    if (!stored) co_return stored.error();
    if (at % kTurn == kTurn - kBlock) co_await asio::post(loop_, asio::use_awaitable);
  }
  anew.finish();
  scanner = anew;
  co_return std::move(draft);
}

}  // namespace mansio::ingress
