// A message as a program gave it back, as edits of the one it was given. Pure but for the edits.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mansio/filter.hpp"

namespace mansio::filter_pipe {

struct Field {
  std::string name, value;  // the value as it stands there, without the final line end
  bool operator==(const Field &) const = default;
};
struct Parts {
  std::vector<Field> fields;
  std::string_view body;  // borrowed
  bool whole = true;      // the header section ends with an empty line, or is all there is
};
// Lines may end in LF or CRLF. Where the header section ends without an empty line the rest is the body.
Parts take_apart(std::string_view message);

// False: `after` is no message, or the host refused an edit, so that none may count.
bool rewrite(plugin::Stage &stage, std::string_view before, std::string_view after);

}  // namespace mansio::filter_pipe
