#include "kernel/config/settings.hpp"

#include <algorithm>

namespace mansio::config {
namespace {

template <class T>
const T *by_name(const std::vector<T> &all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const T &each) { return each.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

const Transport *Settings::transport(std::string_view name) const { return by_name(transports, name); }
const Lookup *Settings::lookup(std::string_view name) const { return by_name(lookups, name); }
const Listener *Settings::listener(std::string_view name) const { return by_name(listeners, name); }

}  // namespace mansio::config
