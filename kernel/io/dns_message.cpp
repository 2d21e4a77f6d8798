// The reader of DNS responses. Everything is checked against the message's end; compression pointers must point
// backwards, so that no name loops; names that no host can have are dropped, as nobody downstream should meet them.
#include "kernel/io/dns_message.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace mansio::io {
namespace {

constexpr std::uint16_t kClassIn = 1;
constexpr std::uint16_t kTypeSoa = 6;
constexpr int kMaxCnames = 16;  // longer chains are loops or mischief

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

struct Reader {
  std::string_view message;
  std::size_t at = 0;
  bool ok = true;

  std::uint8_t u8() {
    if (at >= message.size()) {
      ok = false;
      return 0;
    }
    return static_cast<std::uint8_t>(message[at++]);
  }
  std::uint16_t u16() {
    const auto high = u8();
    return static_cast<std::uint16_t>(high << 8 | u8());
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  std::string_view bytes(std::size_t n) {
    if (!ok || n > message.size() - at) {
      ok = false;
      return {};
    }
    at += n;
    return message.substr(at - n, n);
  }
  // Lower case, labels joined by '.'; the root is "". An octet that no host name has becomes '?', which makes the
  // name equal to no name that is asked for, and no host name.
  std::string name() {
    std::string out;
    std::size_t p = at, limit = at;  // pointers must point before `limit`
    bool jumped = false;
    for (;;) {
      if (p >= message.size()) break;
      const auto n = static_cast<std::uint8_t>(message[p]);
      if ((n & 0xC0) == 0xC0) {
        if (p + 1 >= message.size()) break;
        const std::size_t to = static_cast<std::size_t>(n & 0x3F) << 8 | static_cast<std::uint8_t>(message[p + 1]);
        if (!jumped) at = p + 2;
        jumped = true;
        if (to >= limit) break;
        p = limit = to;
        continue;
      }
      if (n & 0xC0) break;
      if (n == 0) {
        if (!jumped) at = p + 1;
        return out;
      }
      if (p + 1 + n > message.size() || out.size() + n + 1 > 254) break;
      if (!out.empty()) out.push_back('.');
      for (const char c : message.substr(p + 1, n)) out.push_back(c > 0x20 && c < 0x7f && c != '.' ? lower(c) : '?');
      p += 1u + n;
    }
    ok = false;
    return {};
  }
};

struct Raw {
  std::string owner;
  std::uint16_t type = 0;
  std::uint32_t ttl = 0;
  std::size_t data = 0;  // offset
  std::size_t length = 0;
};

std::optional<Raw> read_record(Reader &r) {
  Raw record;
  record.owner = r.name();
  record.type = r.u16();
  const auto cls = r.u16();
  record.ttl = r.u32();
  if (record.ttl > 0x7fffffff) record.ttl = 0;  // RFC 2181 section 8
  record.length = r.u16();
  record.data = r.at;
  r.bytes(record.length);
  if (!r.ok) return std::nullopt;
  if (cls != kClassIn) record.type = 0;
  return record;
}

bool host_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '/';
  });
}

Error defer(std::string text) { return Error{Status::Defer, std::move(text), {4, 4, 3}}; }

// The text form of a record's data; nullopt when it is not what its type needs.
std::optional<DnsRecord> decode(std::string_view message, const Raw &raw, DnsType type) {
  // Names may point anywhere before themselves, but must not run on beyond their record.
  Reader r{message.substr(0, raw.data + raw.length), raw.data};
  DnsRecord out;
  switch (type) {
    case DnsType::A:
    case DnsType::Aaaa: {
      const bool four = type == DnsType::A;
      char text[INET6_ADDRSTRLEN];
      if (raw.length != (four ? 4u : 16u)) return std::nullopt;
      if (!::inet_ntop(four ? AF_INET : AF_INET6, message.data() + raw.data, text, sizeof text)) return std::nullopt;
      out.data = text;
      return out;
    }
    case DnsType::Mx:
      out.preference = r.u16();
      out.data = r.name();
      if (!r.ok || (!out.data.empty() && !host_name(out.data))) return std::nullopt;  // "" is the null MX (RFC 7505)
      return out;
    case DnsType::Ptr:
    case DnsType::Cname:
      out.data = r.name();
      if (!r.ok || !host_name(out.data)) return std::nullopt;
      return out;
    case DnsType::Txt:
      while (r.ok && r.at < raw.data + raw.length) out.data += r.bytes(r.u8());
      if (!r.ok) return std::nullopt;
      return out;
  }
  return std::nullopt;
}

Nanos negative_ttl(Reader &r, unsigned n_authority) {
  for (; n_authority > 0; --n_authority) {
    const auto record = read_record(r);
    if (!record) return 0;
    if (record->type != kTypeSoa) continue;
    Reader soa{r.message.substr(0, record->data + record->length), record->data};
    soa.name();
    soa.name();
    soa.bytes(16);  // serial, refresh, retry, expire
    const auto minimum = soa.u32();
    return soa.ok ? std::min(record->ttl, minimum) * kSecond : 0;
  }
  return 0;
}

}  // namespace

DnsParsed parse_dns_message(std::string_view response, std::string_view asked, DnsType type) {
  const auto name = normal_domain(asked);
  if (name.empty()) return {Error{Status::Fail, "not a domain name", {5, 1, 2}}};
  Reader r{response};
  r.u16();  // id: the resolver has matched it
  const auto flags = r.u16();
  const auto n_questions = r.u16(), n_answers = r.u16(), n_authority = r.u16();
  r.u16();
  const auto malformed = [&] { return DnsParsed{defer("malformed DNS answer for " + name)}; };
  if (!r.ok || !(flags & 0x8000)) return malformed();
  if (flags & 0x0200) return {defer("truncated DNS answer for " + name)};
  const auto rcode = flags & 0xF;
  if (rcode != 0 && rcode != 3) {
    constexpr const char *names[] = {"", "FORMERR", "SERVFAIL", "", "NOTIMP", "REFUSED"};
    return {defer("DNS server answers " + (rcode < 6 ? std::string{names[rcode]} : "code " + std::to_string(rcode)) +
                  " for " + name)};
  }
  for (unsigned i = 0; i < n_questions; ++i) {
    r.name();
    r.bytes(4);
  }
  std::vector<Raw> answers;
  for (unsigned i = 0; i < n_answers; ++i) {
    auto record = read_record(r);
    if (!record) return malformed();
    answers.push_back(std::move(*record));
  }
  if (!r.ok) return malformed();

  DnsAnswer answer;
  answer.canonical = name;
  std::uint32_t ttl = 0x7fffffff;
  for (int hops = 0; type != DnsType::Cname; ++hops) {
    const auto alias = std::find_if(answers.begin(), answers.end(), [&](const Raw &a) {
      return a.type == static_cast<std::uint16_t>(DnsType::Cname) && a.owner == answer.canonical;
    });
    if (alias == answers.end()) break;
    const auto target = decode(response, *alias, DnsType::Cname);
    if (!target) return malformed();
    if (hops == kMaxCnames) return {defer("CNAME loop at " + name)};
    answer.canonical = target->data;
    ttl = std::min(ttl, alias->ttl);
  }
  bool unusable = false;
  for (const auto &raw : answers) {
    if (raw.type != static_cast<std::uint16_t>(type) || raw.owner != answer.canonical) continue;
    if (auto record = decode(response, raw, type)) {
      answer.records.push_back(std::move(*record));
      ttl = std::min(ttl, raw.ttl);
    } else {
      unusable = true;
    }
  }
  if (!answer.records.empty()) {
    answer.ttl = ttl * kSecond;
    const auto keep = answer.ttl;
    return {std::move(answer), keep};
  }
  if (unusable) return {Error{Status::Fail, "unusable name in the DNS answer for " + name, {5, 4, 4}}};
  Error none{Status::NotFound, (rcode == 3 ? "no such name: " : "no such data: ") + answer.canonical, {5, 4, 4}};
  return {std::move(none), negative_ttl(r, n_authority)};
}

DnsResult parse_dns_answer(std::string_view response, std::string_view name, DnsType type) {
  return parse_dns_message(response, name, type).result;
}

std::string normal_domain(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > 253) return {};
  std::string out;
  std::size_t label = 0;
  for (const char c : name) {
    if (c <= 0x20 || c >= 0x7f || c == '\\') return {};
    if (c == '.' ? label == 0 : ++label > 63) return {};
    if (c == '.') label = 0;
    out.push_back(lower(c));
  }
  if (label == 0) return {};
  return out;
}

std::string reverse_name(std::string_view ip) {
  const std::string text{ip};
  unsigned char a[16];
  std::string out;
  if (::inet_pton(AF_INET, text.c_str(), a) == 1) {
    for (int i = 3; i >= 0; --i) out += std::to_string(a[i]) + ".";
    return out + "in-addr.arpa";
  }
  if (::inet_pton(AF_INET6, text.c_str(), a) != 1) return {};
  for (int i = 15; i >= 0; --i)
    for (const int shift : {0, 4}) {
      out.push_back("0123456789abcdef"[a[i] >> shift & 15]);
      out.push_back('.');
    }
  return out + "ip6.arpa";
}

}  // namespace mansio::io
