// qshape: counts what waits, a piece at a time (Shape).
#include <array>
#include <charconv>
#include <utility>

#include "kernel/queue/command_words.hpp"
#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr std::size_t kShapedPerTurn = 8192;     // a fraction of a millisecond: nothing is read from the spool
constexpr int kReadsPerTurn = 64;                // envelopes that had to be read after all
constexpr std::uint32_t kMostDomains = 1 << 16;  // hints above are destinations

}  // namespace

bool shape_option(const std::string &key, const std::string &value, Buckets *buckets) {
  Buckets unused;
  auto &b = buckets ? *buckets : unused;
  if (key == "by") return parse_shape_by(value).has_value();
  if (key == "linear") return b.linear = value == "true", value == "true" || value == "false";
  const auto read = [&](auto &n) {
    const auto *behind = value.data() + value.size();
    const auto [end, error] = std::from_chars(value.data(), behind, n);
    return error == std::errc{} && end == behind;
  };
  if (key == "buckets") return read(b.count) && b.count > 0 && b.count <= Buckets::kMost;
  if (key == "width") return read(b.width) && b.width >= 0.001 && b.width <= 1'000'000;
  return false;
}

// First all messages, then a row for each name found.
bool QueueCore::shape(Command &command) {
  const auto &match = command.request.match;
  if (!command.shape) {
    Buckets buckets;
    for (const auto &[key, value] : match) shape_option(key, value, &buckets);
    command.shape =
        std::make_unique<Shape>(buckets, parse_shape_by(match_of(command, "by")).value_or(ShapeBy::Recipient));
  }
  std::array<bool, kQueueNames + 1> count{};
  count.fill(match_of(command, "state").empty());
  for (std::size_t i = 0; i < kQueueNames; ++i)
    count[i] |= names_state(match_of(command, "state"), name_of(static_cast<QueueName>(i)));
  const auto end = std::min<std::size_t>(index_.slots(), command.cursor + kShapedPerTurn);
  for (int reads = 0; command.cursor < end && reads < kReadsPerTurn; ++command.cursor) {
    const auto slot = static_cast<MessageSlot>(command.cursor);
    const auto &m = index_.message(slot);
    if (!m.used || !count[m.counted] || m.groups == kNone) continue;
    ++command.affected;
    if (count_in(*command.shape, slot)) ++reads;
  }
  if (command.cursor < index_.slots()) return true;
  return command.shape->rows(command.lines, kReplyBytes);
}

// True: its envelope was read.
bool QueueCore::count_in(Shape &shape, MessageSlot slot) {
  const auto &m = index_.message(slot);
  const auto age = steps_.age(m.arrival);
  SharedStored stored;
  bool read = false;
  const auto envelope = [&]() -> const Envelope * {
    if (!std::exchange(read, true)) stored = peek(slot);
    return stored ? &stored->envelope : nullptr;
  };
  const std::string kUnreadable = "unreadable";
  if (shape.by() == ShapeBy::Sender) {
    const auto id = index_.sender_domain(slot);
    if (id != kInEnvelope) return shape.add(id, "", index_.domain_name(id), age, 1), false;
    const auto *e = envelope();
    return shape.add(Shape::kNoHint, "", e ? shape_name(e->sender) : kUnreadable, age, 1), true;
  }
  for (auto g = m.groups; g != kNone; g = index_.group(g).next) {
    const auto &recipients = index_.group(g).recipients;
    auto destination = scheduler_->destination_of(g);
    if (shape.by() == ShapeBy::Destination) destination = scheduler_->site_of(destination);
    const auto id = index_.recipient_domain(g);
    const auto hint = kMostDomains + destination;
    if (shape.by() == ShapeBy::Destination) {
      shape.add(hint, transport_of(g).name, scheduler_->nexthop_of(destination), age, recipients.size());
    } else if (id == kNoDomain) {
      shape.add(hint, "", scheduler_->nexthop_of(destination), age, recipients.size());
    } else if (id != kInEnvelope) {
      shape.add(id, "", index_.domain_name(id), age, recipients.size());
    } else {
      const auto *e = envelope();
      for (const auto &p : recipients)
        shape.add(Shape::kNoHint, "", e ? shape_name(e->recipients[p.index].address) : kUnreadable, age, 1);
    }
  }
  return read;
}

}  // namespace mansio::queue
