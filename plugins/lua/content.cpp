#include "plugins/lua/content.hpp"

#include <algorithm>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/engine.hpp"

namespace mansio::lua {
namespace {

constexpr std::size_t kHeaderPiece = 16 << 10, kLargestHeader = 4 << 20;

// Octets set aside from the memory of a call, and given back unless they are kept.
class Room {
 public:
  explicit Room(Call &call) : call_(call) {}
  ~Room() { call_.give_back(octets_); }
  Room(const Room &) = delete;
  Room &operator=(const Room &) = delete;
  void take(std::size_t octets) {  // throws ScriptError
    call_.set_aside(octets);
    octets_ += octets;
  }
  void keep() { octets_ = 0; }

 private:
  Call &call_;
  std::size_t octets_ = 0;
};

}  // namespace

const std::vector<Field> &Content::fields() {
  load();
  return fields_;
}

std::uint64_t Content::body_begins() {
  load();
  return body_;
}

std::size_t Content::read(std::uint64_t offset, char *to, std::size_t n) const {
  if (offset >= size()) return 0;
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(n, size() - offset));
  const auto got = call_.engine().host()->read(call_.op(), offset, to, wanted);
  if (got < 0) throw ScriptError{"the message cannot be read"};
  return static_cast<std::size_t>(got);
}

void Content::load() {
  if (loaded_) return;
  Room of_head{call_}, of_fields{call_};
  std::string head;
  std::size_t end = head.npos;
  while (end == head.npos) {
    const auto old = head.size();
    if (old > kLargestHeader) throw ScriptError{"the header section is too large to be read"};
    of_head.take(kHeaderPiece);
    head.resize(old + kHeaderPiece);
    head.resize(old + read(old, head.data() + old, kHeaderPiece));
    // No header at all: the message begins with the empty line.
    if (head.starts_with("\r\n")) {
      body_ = 2;
      loaded_ = true;
      return;
    }
    end = head.find("\r\n\r\n", old < 3 ? 0 : old - 3);
    if (head.size() == old) break;
  }
  body_ = end == head.npos ? head.size() : end + 4;
  const auto section = std::string_view{head}.substr(0, end == head.npos ? head.size() : end + 2);
  of_fields.take(section.size() + most_fields(section) * sizeof(Field));
  fields_ = parse_header(section);
  of_fields.keep();
  loaded_ = true;  // not before: a script may catch the error and ask again
}

}  // namespace mansio::lua
