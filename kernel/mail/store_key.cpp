#include "kernel/mail/store_key.hpp"

namespace mansio {
namespace {

constexpr std::size_t kNameLength = 13;  // of a number as to_string(MessageId) writes it

}  // namespace

std::string spool_name(std::uint64_t spool) { return to_string(MessageId{spool}); }

std::optional<std::uint64_t> parse_spool_name(std::string_view text) {
  const auto number = parse_message_id(text);
  if (!number || !*number || to_string(*number) != text) return std::nullopt;
  return number->value;
}

std::string to_string(const StoreKey &key) { return spool_name(key.spool) + '-' + to_string(key.id); }

std::optional<StoreKey> parse_store_key(std::string_view text) {
  if (text.size() != 2 * kNameLength + 1 || text[kNameLength] != '-') return std::nullopt;
  const auto spool = parse_spool_name(text.substr(0, kNameLength));
  const auto id = parse_spool_name(text.substr(kNameLength + 1));
  if (!spool || !id) return std::nullopt;
  return StoreKey{*spool, MessageId{*id}};
}

}  // namespace mansio
