#include "plugins/lua/io/resolve.hpp"

#include <utility>

#include "plugins/lua/lib/network.hpp"

namespace mansio::lua {

plugin::Task<Addresses> resolve(plugin::Host host, std::string name, plugin::Cancel &cancel) {
  Addresses found;
  if (const auto address = IpAddress::parse(name)) {
    found.list.push_back(address->text());
    co_return found;
  }
  if (name == "localhost") {
    found.list.emplace_back("127.0.0.1");
    found.list.emplace_back("::1");
    co_return found;
  }
  std::vector<plugin::Question> questions;
  questions.push_back({name, MANSIO_DNS_A});
  questions.push_back({name, MANSIO_DNS_AAAA});
  const auto answers = co_await plugin::Resolve{host, std::move(questions), &cancel};
  for (const auto &answer : answers) {
    for (const auto &record : answer.records) found.list.push_back(record.data);
    if (found.why.empty()) found.why = answer.text;
  }
  if (found.list.empty() && found.why.empty()) found.why = "the name has no address";
  co_return found;
}

}  // namespace mansio::lua
