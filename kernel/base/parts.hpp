// Parts: stored bytes that may grow. Each is a kind and so many bytes; a reader passes over those of a kind that it
// does not know, so that versions before and after one another read what they have in common.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernel/base/codec.hpp"

namespace mansio {

template <class T>
void put_part(std::string &out, std::uint8_t kind, const T &what) {
  Encoder{out}(kind, encode(what));
}

// `each` is given a kind and its bytes, borrowed from `bytes`. False: they end in the middle of a part; those before it
// were given.
template <class F>
bool each_part(std::string_view bytes, F &&each) {
  Decoder d{bytes};
  while (!d.rest().empty()) {
    std::uint8_t kind = 0;
    std::string_view part;
    d(kind, part);
    if (!d.ok()) return false;
    each(kind, part);
  }
  return true;
}

}  // namespace mansio
