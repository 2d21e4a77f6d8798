// The parts of any message: they lie in it in their order, however it is read; what is said of one is UTF-8 where it
// says so, and a body decodes to no more than it has, whole or in pieces.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lua/header.hpp"
#include "plugins/mime-common/decoder.hpp"
#include "plugins/mime-common/parameters.hpp"
#include "plugins/mime-common/walk.hpp"
#include "plugins/mime-common/words.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::mime_parts {

using ::mansio::mime::Decoder;
using ::mansio::mime::Encoding;
using ::mansio::mime::Entity;
using ::mansio::mime::Step;
using ::mansio::mime::Walk;

class Text final : public ::mansio::mime::Source {
 public:
  Text(std::string_view text, std::size_t most) : text_(text), most_(most) {}
  std::size_t read(std::uint64_t offset, char *to, std::size_t n) override {
    if (offset >= text_.size()) return 0;
    n = std::min({n, most_, text_.size() - static_cast<std::size_t>(offset)});
    std::memcpy(to, text_.data() + offset, n);
    return n;
  }

 private:
  std::string_view text_;
  std::size_t most_;
};

struct Found {
  Entity part;
  std::uint64_t end;
  bool operator==(const Found &other) const {
    return part.header_begin == other.part.header_begin && part.header_end == other.part.header_end &&
           part.body_begin == other.part.body_begin && part.depth == other.part.depth &&
           part.container == other.part.container && end == other.end;
  }
};

std::vector<Found> walk(std::string_view text, std::size_t piece, bool ask_for_ends) {
  Text source{text, piece};
  const auto walker = std::make_unique<Walk>();
  std::vector<Found> found;
  Entity part;
  while (walker->next(source, part) == Step::Part)
    found.push_back({part, !part.container && ask_for_ends ? walker->end_of_body(source) : part.body_begin});
  require(walker->next(source, part) == Step::End);
  return found;
}

std::string decoded(std::string_view text, Encoding encoding, std::size_t piece) {
  Decoder decoder{encoding};
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += piece) decoder.add(text.substr(at, piece), out);
  decoder.finish(out);
  return out;
}

void utf8(std::string_view text) { require(::mansio::mime::to_utf8("utf-8", text) == text); }

MANSIO_FUZZ_TARGET("mime-parts-fuzz", data, size) {
  if (size > 100'000) return 0;
  const std::string_view all{reinterpret_cast<const char *>(data), size};
  const auto found = walk(all, size + 1, true);
  require(found == walk(all, 1 + size % 13, true) && found.size() == walk(all, size + 1, false).size());
  std::uint64_t before = 0;
  for (const auto &[part, end] : found) {
    require(part.header_begin >= before && part.header_end >= part.header_begin && part.body_begin >= part.header_end &&
            end >= part.body_begin && end <= size && part.depth >= 1 && part.depth <= Walk::kDeepest);
    before = part.container ? part.body_begin : end;
    const auto header = all.substr(static_cast<std::size_t>(part.header_begin),
                                   static_cast<std::size_t>(part.header_end - part.header_begin));
    for (const auto &field : lua::parse_header(header)) {
      const auto type = ::mansio::mime::content_type(field.value, part.in_digest);
      require(type.value.find('/') != std::string::npos);
      const auto name = ::mansio::mime::file_name(type, type);
      utf8(name);
      require(std::none_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
      utf8(::mansio::mime::decode_words(field.value));
    }
    const auto body =
        all.substr(static_cast<std::size_t>(part.body_begin), static_cast<std::size_t>(end - part.body_begin));
    for (const auto encoding : {Encoding::None, Encoding::Base64, Encoding::QuotedPrintable}) {
      const auto whole = decoded(body, encoding, size + 1);
      require(whole.size() <= body.size() && whole == decoded(body, encoding, 3));
    }
  }
  return 0;
}

}  // namespace mansio::fuzz::mime_parts
