// Message content from untrusted bytes: the scanner's answer does not depend on how the message is cut, and a DSN or
// template made of the same bytes stays well formed. The first octet chooses the size of the pieces.
#include <algorithm>
#include <cstdint>

#include "kernel/mail/dsn.hpp"
#include "kernel/mail/headers.hpp"
#include "kernel/mail/utf8.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::headers {
namespace {

void check_scanner(std::string_view text, std::size_t step) {
  ContentScanner whole, cut;
  whole.feed(text);
  whole.finish();
  for (std::size_t i = 0; i < text.size(); i += step) cut.feed(text.substr(i, step));
  cut.finish();
  const auto a = whole.info(), b = cut.info();
  require(a.size == text.size() && b.size == a.size && a.hops == b.hops);
  require(a.leading_dots == b.leading_dots && a.eight_bit == b.eight_bit && a.eight_bit_header == b.eight_bit_header);
  require(a.eight_bit == !is_ascii(text));
  require(a.leading_dots == (text.starts_with('.') || text.find("\n.") != std::string_view::npos));
  require(whole.header_size() == cut.header_size() && whole.header_malformed() == cut.header_malformed());
  require(whole.header_size() <= text.size());
}

void check_dsn(std::string_view text) {
  dsn::Input in;
  in.reporting_mta = "mx.example";
  in.to = in.sender = "a@example.com";
  in.smtputf8 = text.size() % 2 != 0;
  in.envid = text.substr(0, 100);
  in.original = text;
  in.original_size = text.size();
  in.recipients.resize(1);
  in.recipients[0].address = text.substr(0, 200);
  in.recipients[0].orcpt = text.substr(0, 200);
  in.recipients[0].text = text;
  in.recipients[0].remote_mta = text.substr(0, 100);
  in.recipients[0].smtp_code = 550;
  const auto n = dsn::compose(in, dsn::default_templates());
  require(!n.body.eight_bit_header && n.text.ends_with("--\r\n"));
  const auto fields = n.text.find("\r\nReporting-MTA: ");
  require(fields != std::string::npos && n.text.find("\r\nReporting-MTA: ") < n.text.find("\r\nFinal-Recipient: "));
  (void)dsn::parse_templates(text, "bounce.cf");
}

}  // namespace

MANSIO_FUZZ_TARGET("headers-fuzz", data, size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char *>(data) + 1, size - 1};
  check_scanner(text, std::max<std::size_t>(1, data[0] % 32));
  auto section = text;
  while (const auto field = next_field(section))
    require(!field->raw.empty() && field->value().find('\n') == std::string::npos);
  require(text.starts_with(header_section(text)));
  check_dsn(text);
  return 0;
}

}  // namespace mansio::fuzz::headers
