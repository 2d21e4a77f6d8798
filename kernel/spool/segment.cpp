#include "kernel/spool/segment.hpp"

#include <fmt/format.h>

#include <charconv>

#include "kernel/base/codec.hpp"
#include "kernel/base/crc32c.hpp"

namespace mansio::spool {
namespace {

constexpr std::string_view kMagic = "MANSIOSP";
constexpr std::size_t kHeaderCopy = 64;
constexpr std::size_t kSecondCopy = 2048;  // another sector: one bad sector does not cost a segment

constexpr std::uint8_t kBodyElsewhere = 1;
constexpr std::uint8_t kBodyUnsynced = 2;  // elsewhere, and Durability::Process did not wait for it
constexpr std::uint8_t kEarly = 4;         // Durability::Process did not wait for anything

std::string one_copy(const FileHeader &h) {
  std::string out{kMagic};
  Encoder e{out};
  e(h.version, h.least_reader, h.kind);
  out.append(3, '\0');
  e(h.node, h.number, h.epoch, std::uint32_t{0}, h.salt, h.size);
  out.append(kHeaderCopy - 4 - out.size(), '\0');
  e(crc32c(out));
  return out;
}

Result<FileHeader> parse_copy(std::string_view bytes) {
  if (bytes.size() < kHeaderCopy) return Error{Status::Fail, "file too short"};
  bytes = bytes.substr(0, kHeaderCopy);
  if (bytes.find_first_not_of('\0') == std::string_view::npos) return Error{Status::NotFound, "no header"};
  std::uint32_t crc = 0;
  Decoder{bytes.substr(kHeaderCopy - 4)}(crc);
  if (!bytes.starts_with(kMagic) || crc != crc32c(bytes.substr(0, kHeaderCopy - 4))) {
    return Error{Status::Fail, "damaged header"};
  }
  FileHeader h;
  std::uint32_t reserved = 0;
  Decoder d{bytes.substr(kMagic.size())};
  d(h.version, h.least_reader, h.kind);
  d.raw(3);
  d(h.node, h.number, h.epoch, reserved, h.salt, h.size);
  if (h.least_reader > kFormatVersion) {
    return Error{Status::Unsupported, fmt::format("written by a later version (format {})", h.version)};
  }
  return h;
}

}  // namespace

std::string encode_header(const FileHeader &header) {
  const auto copy = one_copy(header);
  std::string page(kPage, '\0');
  page.replace(0, copy.size(), copy);
  page.replace(kSecondCopy, copy.size(), copy);
  return page;
}

Result<FileHeader> parse_header(std::string_view page) {
  auto first = parse_copy(page);
  auto second = parse_copy(page.size() > kSecondCopy ? page.substr(kSecondCopy) : std::string_view{});
  if (first.ok() && second.ok()) return first->epoch >= second->epoch ? first : second;
  if (first.ok()) return first;
  if (second.ok()) return second;
  for (auto *r : {&first, &second}) {
    if (r->error().status == Status::Unsupported) return *r;
  }
  const auto nothing = page.substr(0, kPage).find_first_not_of('\0') == std::string_view::npos;
  return Error{nothing ? Status::NotFound : Status::Fail, nothing ? "no header" : "damaged header"};
}

RecordSeal::RecordSeal(const FileHeader &header) {
  std::string bytes;
  Encoder{bytes}(header.salt, header.number, header.epoch);
  seed_ = crc32c(bytes);
}

std::uint32_t RecordSeal::check(const RecordHeader &h) const {
  char bytes[16];
  std::memcpy(bytes, &h.length, 4);
  std::memcpy(bytes + 4, &h.gap, 2);
  bytes[6] = static_cast<char>(h.type);
  bytes[7] = static_cast<char>(h.flags);
  std::memcpy(bytes + 8, &h.id, 8);
  return crc32c({bytes, sizeof bytes}, seed_);
}

void RecordSeal::finish(RecordHeader &header, std::uint64_t length, std::uint32_t payload_crc) const {
  header.length = static_cast<std::uint32_t>(length);
  header.check = check(header);
  header.crc = crc32c_combine(header.check, payload_crc, length);
}

void RecordSeal::finish(RecordHeader &header, std::string_view payload) const {
  header.length = static_cast<std::uint32_t>(payload.size());
  header.check = check(header);
  header.crc = crc32c(payload, header.check);
}

bool RecordSeal::header_matches(const RecordHeader &header) const { return header.check == check(header); }

void append_header(std::string &out, const RecordHeader &h) {
  Encoder{out}(h.check, h.crc, h.length, h.gap, h.type, h.flags, h.id);
}

RecordHeader read_header(std::string_view bytes) {
  RecordHeader h;
  Decoder{bytes}(h.check, h.crc, h.length, h.gap, h.type, h.flags, h.id);
  return h;
}

void append_record(std::string &out, const RecordSeal &seal, RecordType type, std::uint64_t id,
                   std::string_view payload) {
  RecordHeader h;
  h.type = type;
  h.id = id;
  seal.finish(h, payload);
  append_header(out, h);
  out.append(payload);
  out.append(round_up8(payload.size()) - payload.size(), '\0');
}

bool known_type(RecordType type) {
  const auto t = static_cast<std::uint8_t>(type);
  return (t >= 1 && t <= 4) || (t >= 16 && t <= 22);
}

std::string encode_commit(const CommitPayload &c, const Place &at) {
  std::string out;
  Encoder e{out};
  const bool elsewhere = c.body.segment != at.segment || c.body.epoch != at.epoch;
  const auto flags = (elsewhere ? kBodyElsewhere : 0) | (c.body_synced ? 0 : kBodyUnsynced) | (c.early ? kEarly : 0);
  e(static_cast<std::uint8_t>(flags), c.envelope_crc, c.body_crc);
  e.varint(c.ordinal);
  e.varint(at.offset - c.synced);
  e.varint(at.offset - c.envelope.offset);
  e.varint(c.envelope.length);
  if (elsewhere) e(c.body.segment, c.body.epoch, c.body_gap);
  e.varint(elsewhere ? c.body.offset : at.offset - c.body.offset);
  e.varint(c.body.length);
  if (c.moves > 0) e.varint(c.moves);
  return out;
}

std::optional<CommitPayload> parse_commit(std::string_view payload, const Place &at) {
  CommitPayload c;
  Decoder d{payload};
  std::uint8_t flags = 0;
  d(flags, c.envelope_crc, c.body_crc);
  c.body_synced = !(flags & kBodyUnsynced);
  c.early = flags & kEarly;
  c.ordinal = static_cast<std::uint32_t>(d.varint());
  c.synced = at.offset - d.varint();
  c.envelope = {at.segment, at.epoch, at.offset - d.varint(), 0};
  c.envelope.length = d.varint();
  c.body = {at.segment, at.epoch, 0, 0};
  if (flags & kBodyElsewhere) {
    d(c.body.segment, c.body.epoch, c.body_gap);
    c.body.offset = d.varint();
  } else {
    c.body.offset = at.offset - d.varint();
  }
  c.body.length = d.varint();
  if (d.ok() && !d.rest().empty()) c.moves = static_cast<std::uint32_t>(d.varint());
  // Bytes that follow belong to a later version and change nothing of the above.
  if (!d.ok() || c.synced > at.offset || c.envelope.offset > at.offset) return std::nullopt;
  if (!(flags & kBodyElsewhere) && c.body.offset > at.offset) return std::nullopt;
  return c;
}

std::string encode_seal(std::uint64_t synced) { return encode(synced); }
std::optional<std::uint64_t> parse_seal(std::string_view payload) {
  return decode<std::uint64_t>(payload.substr(0, 8));
}

std::string file_name(std::uint32_t number) { return fmt::format("{:08x}", number); }

std::optional<std::uint32_t> parse_file_name(std::string_view name) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number, 16);
  if (name.size() != 8 || error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return number;
}

}  // namespace mansio::spool
