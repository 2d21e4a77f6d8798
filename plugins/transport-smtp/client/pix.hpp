// Servers behind a Cisco PIX whose "fixup protocol smtp" is on. It hides the greeting, lets only a few commands pass
// (no ESMTP), and, before versions 5.2(4) and 6.0(1), loses mail whose final dot and CRLF come in two packets
// (CSCds90792): then nobody answers the content. Pure.
#pragma once

#include <string_view>

namespace mansio::smtp {

// All that is left of a greeting's text are the characters 2, 0, space, and asterisks.
inline bool is_pix_greeting(std::string_view text) {
  return text.find('*') != std::string_view::npos && text.find_first_not_of("20 *\t\r\n") == std::string_view::npos;
}

}  // namespace mansio::smtp
