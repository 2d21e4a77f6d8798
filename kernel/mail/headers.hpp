// What a server must know about content while it streams past: does the header section end here, how many hops
// has it had, which fields are there, is any octet above 127, does any line begin with a dot.
//
// ContentScanner is fed the message in canonical CRLF form, without dot-stuffing, in pieces of any size; it looks
// at each octet a few times at most, with memchr or a word at a time, because every message passes through it.
// The functions below it work on a whole message or header section in memory (DSNs, tools).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/mail/envelope.hpp"

namespace mansio {

class ContentScanner {
 public:
  void feed(std::string_view bytes);
  void finish();  // the message ended: a header section without body, a last line without CRLF

  BodyInfo info() const;  // so far

  bool in_header() const { return in_header_; }
  std::uint64_t size() const { return size_; }
  // Octets of header lines seen; the empty line is not counted. Grows only while in_header().
  std::uint64_t header_size() const { return header_size_; }
  // The section ended at a line that is neither a field nor empty: the body begins with that line. With a header_size()
  // of 0 it is the first line of all.
  bool header_malformed() const { return malformed_; }
  // The first line is that of an mbox file, "From joe Mon Jan 1" or the same behind '>': no field, and no body either.
  bool mailbox_line() const { return mailbox_line_; }

  std::uint32_t received() const { return received_; }
  std::uint32_t delivered_to() const { return delivered_to_; }
  bool has_from() const { return from_; }
  bool has_date() const { return date_; }
  bool has_message_id() const { return message_id_; }
  bool has_to() const { return to_; }  // To, Cc or Bcc: a destination field (RFC 822 wanted one)

 private:
  void scan_header(std::string_view &bytes);
  bool end_line();  // false: the header section is over
  void count_field(std::string_view name);
  void note_octets(std::string_view bytes);

  static constexpr std::size_t kHead = 80;  // of a line; a longer field name is none that we count

  std::array<char, kHead> head_{};
  std::size_t line_ = 0;  // octets of the current line so far
  std::uint64_t size_ = 0, header_size_ = 0;
  std::uint32_t received_ = 0, delivered_to_ = 0;
  char last_ = '\n';  // octet before the next one; a message begins as a line does
  bool in_header_ = true, malformed_ = false, any_field_ = false, line_eight_bit_ = false;
  bool mailbox_line_ = false;
  bool leading_dots_ = false, eight_bit_ = false, eight_bit_header_ = false;
  bool from_ = false, date_ = false, message_id_ = false, to_ = false;
};

// The header section of `message`: its field lines with their CRLFs, not the empty line.
std::string_view header_section(std::string_view message);

// The length of the field name at the beginning of a line ("Subject:" -> 7); 0 if the line is no field.
// White space before the colon, an obsolete form, is not part of the name.
std::size_t field_name_length(std::string_view line);

// One field of a section. `raw` is all of it with its continuation lines and CRLFs.
struct HeaderField {
  std::string_view name, raw;
  std::string value() const;  // unfolded, without white space around it
};
// Takes the first field off `section`; nullopt at its end or at a line that is no field.
std::optional<HeaderField> next_field(std::string_view &section);

// The first field of that name (no case), unfolded.
std::optional<std::string> find_header(std::string_view section, std::string_view name);

}  // namespace mansio
