#include "plugins/lua/tool/resolver.hpp"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>

#include <vector>

namespace mansio::lua::tool {
namespace {

using mansio::testing::FakeDnsAnswer;

// What a script would see of it; false for data that is none.
bool read_record_data(const ns_msg &message, const ns_rr &record, plugin::DnsRecord &to) {
  const auto *data = ns_rr_rdata(record);
  const auto n = static_cast<std::size_t>(ns_rr_rdlen(record));
  const auto host_at = [&](std::size_t offset) {
    char name[NS_MAXDNAME];
    if (offset >= n ||
        ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), data + offset, name, sizeof name) < 0)
      return false;
    to.data = name;
    return true;
  };
  char text[INET6_ADDRSTRLEN];
  switch (ns_rr_type(record)) {
    case ns_t_a:
      if (n != 4 || !::inet_ntop(AF_INET, data, text, sizeof text)) return false;
      to.data = text;
      return true;
    case ns_t_aaaa:
      if (n != 16 || !::inet_ntop(AF_INET6, data, text, sizeof text)) return false;
      to.data = text;
      return true;
    case ns_t_mx:
      if (n < 3) return false;
      to.preference = static_cast<std::uint16_t>(data[0] << 8 | data[1]);
      return host_at(2);
    case ns_t_ptr:
      return host_at(0);
    case ns_t_txt:
      // Strings of up to 255 octets, each after its length.
      for (std::size_t at = 0; at < n; at += std::size_t{1} + data[at]) {
        const std::size_t length = data[at];
        if (at + 1 + length > n) return false;
        to.data.append(reinterpret_cast<const char *>(data) + at + 1, length);
      }
      return true;
    default:
      return false;
  }
}

}  // namespace

FakeDnsAnswer read_answer(const unsigned char *bytes, std::size_t n, std::uint16_t type) {
  ns_msg message;
  if (n > NS_MAXMSG || ns_initparse(bytes, static_cast<int>(n), &message) != 0)
    return {MANSIO_DEFER, {}, "the answer cannot be read"};
  FakeDnsAnswer answer{MANSIO_NOT_FOUND, {}, "no such records"};
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    ns_rr record;
    if (ns_parserr(&message, ns_s_an, i, &record) != 0) return {MANSIO_DEFER, {}, "the answer cannot be read"};
    if (static_cast<std::uint16_t>(ns_rr_type(record)) != type) continue;  // a CNAME on the way
    plugin::DnsRecord read;
    if (read_record_data(message, record, read)) answer.records.push_back(read);
  }
  if (!answer.records.empty()) answer = {MANSIO_OK, answer.records, ""};
  return answer;
}

FakeDnsAnswer ask_dns(const std::string &name, std::uint16_t type) {
  struct __res_state state {};
  if (::res_ninit(&state) != 0) return {MANSIO_DEFER, {}, "the resolver cannot be set up"};
  std::vector<unsigned char> bytes(NS_MAXMSG);
  const int n = ::res_nquery(&state, name.c_str(), ns_c_in, type, bytes.data(), static_cast<int>(bytes.size()));
  const int why = state.res_h_errno;
  ::res_nclose(&state);
  if (n >= 0) return read_answer(bytes.data(), static_cast<std::size_t>(n), type);
  if (why == HOST_NOT_FOUND || why == NO_DATA) return {MANSIO_NOT_FOUND, {}, "no such records"};
  return {MANSIO_DEFER, {}, ::hstrerror(why)};
}

}  // namespace mansio::lua::tool
