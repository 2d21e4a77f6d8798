// Edits: what a filter wants changed of a message, as a journal; and the header section with them applied. Pure.
//
// A journal may give some of the recipients a version of the message. It begins as what the edits before it made of the
// message, and from there on the two have nothing more to do with each other.
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
  // Of messages again.
  Version,  // value: a recipient who gets version `number`, which the first of them begins
};

struct Edit {
  EditKind kind = EditKind::AddHeader;
  std::uint32_t number = 0;
  std::string name, value;
  std::uint32_t version = 0;  // of headers and body: what is edited, 0 for what all have who have no version
  bool operator==(const Edit &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.kind, s.number, s.name, s.value, s.version);
  }
};

bool is_header_name(std::string_view name);  // printable ASCII but ':', at most 100 octets
// Line ends become CRLF, a CR that stands alone a space. Nothing when a line of "name: value" is over 998 octets, or a
// line after the first does not begin with a blank or is empty, or there is a NUL.
std::optional<std::string> canonical_header_value(std::string_view name, std::string_view value);

bool edits_header(EditKind kind);

// Borrowed from a journal, in its order.
using EditList = std::vector<const Edit *>;

// The edits of headers and body: first those of version 0, then of 1, 2 ..., each with those that it began with. A new
// body of a version's own takes the place of the one that it began with.
std::vector<EditList> edits_by_version(const std::vector<Edit> &edits);

// The header section with the edits of headers among `edits` applied in their order. Canonical input gives canonical
// output.
std::string edited_headers(std::string_view section, const EditList &edits);

}  // namespace mansio
