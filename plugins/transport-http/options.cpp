#include "plugins/transport-http/options.hpp"

#include <curl/curl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace mansio::http {
namespace {

using plugin::BadConfig;

std::string url_part(CURLU *url, CURLUPart part) {
  char *text = nullptr;
  if (::curl_url_get(url, part, &text, 0) != CURLUE_OK) return {};
  const std::unique_ptr<char, decltype(&::curl_free)> owner{text, ::curl_free};
  return text;
}

void read_url(Settings &s, std::string text) {
  const BadConfig bad{"url", "is \"" + text + "\", expected a URL such as \"https://api.example.com/mail\""};
  const std::unique_ptr<CURLU, decltype(&::curl_url_cleanup)> url{::curl_url(), ::curl_url_cleanup};
  if (::curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) throw bad;
  const auto scheme = url_part(url.get(), CURLUPART_SCHEME);
  if (scheme != "https" && scheme != "http") throw bad;
  if (!url_part(url.get(), CURLUPART_USER).empty() || !url_part(url.get(), CURLUPART_PASSWORD).empty())
    throw BadConfig{"url", "names a user, expected none; a secret has its place in bearer_token"};
  s.host = url_part(url.get(), CURLUPART_HOST);
  s.url = std::move(text);
}

Format parse_format(const std::string &text) {
  if (text == "raw") return Format::Raw;
  if (text == "json") return Format::Json;
  throw BadConfig{"format", "is \"" + text + "\", expected \"raw\" or \"json\""};
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// A token of RFC 9110 section 5.6.2.
bool is_name(std::string_view text) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != kOthers.npos;
  });
}

void check_headers(const std::vector<std::string> &headers) {
  for (const auto &header : headers) {
    const auto colon = header.find(':');
    if (colon == header.npos || !is_name(std::string_view{header}.substr(0, colon)) || has_control(header))
      throw BadConfig{"headers", "holds \"" + header + "\", expected \"Name: value\""};
  }
}

std::int64_t positive(const plugin::Config &config, const char *option) {
  const auto ns = config.duration(option);
  if (ns <= 0) throw BadConfig{option, "is 0, expected a time such as \"30s\""};
  return ns;
}

}  // namespace

const mansio_option kOptions[] = {
    {"url", MANSIO_OPT_TEXT, MANSIO_OPT_REQUIRED, nullptr, "Where messages are POSTed to: https or http."},
    {"format", MANSIO_OPT_TEXT, 0, "raw",
     "What is POSTed: raw (the message as message/rfc822, the envelope in header fields) or json (both in one "
     "object)."},
    {"headers", MANSIO_OPT_LIST, 0, "", "Header fields of every request, `Name: value` each."},
    {"bearer_token", MANSIO_OPT_TEXT, MANSIO_OPT_SECRET, nullptr, "Sent as `Authorization: Bearer ...`."},
    {"hmac_secret", MANSIO_OPT_TEXT, MANSIO_OPT_SECRET, nullptr,
     "Key with which the body is signed (HMAC-SHA256); without one it is not."},
    {"signature_header", MANSIO_OPT_TEXT, 0, "Mansio-Signature",
     "Header field of the signature, `sha256=` and hex digits."},
    {"ca_file", MANSIO_OPT_PATH, 0, "", "Certificates that the server's must lead to, PEM, instead of the system's."},
    {"tls_verify", MANSIO_OPT_BOOLEAN, 0, "true",
     "The server's certificate must be good and name the URL's host; false is for tests."},
    {"connect_timeout", MANSIO_OPT_DURATION, 0, "30s", "Longest wait for a connection with its TLS handshake."},
    {"timeout", MANSIO_OPT_DURATION, 0, "5m", "Longest time for a whole request."},
    {}};

Settings read_settings(const plugin::Config &config) {
  Settings s;
  plugin::Problems problems{config};
  problems.of([&] { read_url(s, config.option("url")); });
  problems.of([&] { s.format = parse_format(config.option("format")); });
  s.headers = config.list("headers");
  problems.of([&] { check_headers(s.headers); });
  s.bearer_token = config.option("bearer_token");
  problems.of([&] {
    if (has_control(s.bearer_token))
      throw BadConfig{"bearer_token", "has a control character, expected one line of text"};
  });
  s.hmac_secret = config.option("hmac_secret");
  s.signature_header = config.option("signature_header");
  problems.of([&] {
    if (!is_name(s.signature_header))
      throw BadConfig{"signature_header", "is \"" + s.signature_header + "\", expected the name of a header field"};
  });
  s.ca_file = config.option("ca_file");
  problems.of([&] {
    struct stat st {};
    if (!s.ca_file.empty() && ::stat(s.ca_file.c_str(), &st) != 0 && errno == ENOENT)
      throw BadConfig{"ca_file", "names " + s.ca_file + ", which is not there"};
  });
  s.verify = config.flag("tls_verify");
  problems.of([&] { s.connect_timeout = positive(config, "connect_timeout"); });
  problems.of([&] { s.timeout = positive(config, "timeout"); });
  problems.end();
  return s;
}

}  // namespace mansio::http
