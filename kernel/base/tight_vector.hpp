// For vectors that are long, many, and full most of the time: room for more by an eighth of what is there. Doubling
// would leave up to half of each unused; this way each element is copied eight times instead of once as they grow.
#pragma once

#include <vector>

namespace mansio {

// The next element can be put in without the vector's own way of growing.
template <class T>
void make_room(std::vector<T> &v) {
  if (v.size() == v.capacity()) v.reserve(v.size() + v.size() / 8 + 8);
}

}  // namespace mansio
