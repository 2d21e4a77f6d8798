// Edits: what a filter wants changed of a message, as a journal; and the header section with them applied. Pure.
//
// A header value is what follows "Name:", folded or not, without a final line end. What a plugin gives is made
// canonical first, so that no edit can begin a field or a line that it does not own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mansio {

enum class EditKind : std::uint8_t {
  AddHeader,        // name, value
  InsertHeader,     // name, value; before field `number` of all, from 0
  ChangeHeader,     // name, value; field `number` of that name, from 1; added when there is none
  DeleteHeader,     // name; field `number` of that name, from 1
  SetSender,        // value
  AddRecipient,     // value
  DeleteRecipient,  // value
  ReplaceBody,      // value: the next piece of the new body
  Hold,             // value: the reason
  Discard,          // value: the reason
  Redirect,         // value: the address that takes the place of all recipients; of a notification, of its one
  // Of mail in the queue.
  Route,       // name: the transport, value: the next hop; either may be empty
  SourcePool,  // value
};

struct Edit {
  EditKind kind = EditKind::AddHeader;
  std::uint32_t number = 0;
  std::string name, value;
  bool operator==(const Edit &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.kind, s.number, s.name, s.value);
  }
};

bool is_header_name(std::string_view name);  // printable ASCII but ':', at most 100 octets
// Line ends become CRLF, a CR that stands alone a space. Nothing when a line of "name: value" is over 998 octets, or a
// line after the first does not begin with a blank or is empty, or there is a NUL.
std::optional<std::string> canonical_header_value(std::string_view name, std::string_view value);

bool edits_header(EditKind kind);

// The header section with the edits of headers among `edits` applied in their order. Canonical input gives canonical
// output.
std::string edited_headers(std::string_view section, const std::vector<Edit> &edits);

}  // namespace mansio
