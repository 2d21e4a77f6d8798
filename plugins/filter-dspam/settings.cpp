#include "plugins/filter-dspam/settings.hpp"

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>

namespace mansio::dspam {
namespace {

using plugin::BadConfig;
using plugin::Config;

// What MAIL FROM carries between its brackets, beside one '@'.
bool is_plain(std::string_view text) {
  return !text.empty() && text.size() <= 100 && std::all_of(text.begin(), text.end(), [](char c) {
    return c > 0x20 && c < 0x7f && c != '@' && c != '<' && c != '>' && c != '"' && c != '\\';
  });
}

bool is_field_name(std::string_view text) {
  return !text.empty() && text.size() <= 70 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != ':'; });
}

std::string choice(const Config &config, const char *option, std::initializer_list<std::string_view> known) {
  auto value = config.option(option);
  if (std::find(known.begin(), known.end(), value) != known.end()) return value;
  std::string all;
  for (const auto word : known) all += (all.empty() ? "" : ", ") + ('"' + std::string{word} + '"');
  throw BadConfig{option, "is \"" + value + "\", expected one of " + all};
}

UserTemplate user_template(const Config &config, const char *option) {
  const auto text = config.option(option);
  const auto parsed = UserTemplate::parse(text);
  if (!parsed || text.empty() || (parsed->fixed() && !is_user(text)))
    throw BadConfig{option, "is \"" + text + "\", expected a text with {address}, {local} or {domain}, or a user"};
  return *parsed;
}

std::vector<std::string> addresses(const Config &config, const char *option) {
  std::vector<std::string> all;
  for (const auto &text : config.list(option)) {
    const auto at = text.rfind('@');
    if (at == text.npos || at == 0 || at + 1 == text.size())
      throw BadConfig{option, "has \"" + text + "\", expected an address such as \"spam@example.com\""};
    all.push_back(fold_domain(text));
  }
  return all;
}

void read_server(const Config &config, Settings &s) {
  plugin::Problems problems{config};
  problems.of([&] { s.server = lookup::parse_endpoint("server", config.option("server"), 24); });
  problems.of([&] { s.dlmtp = choice(config, "mode", {"dlmtp", "lmtp"}) == "dlmtp"; });
  s.ident = config.option("ident");
  s.password = config.option("password");
  problems.of([&] {
    if (s.dlmtp && !is_plain(s.ident))
      throw BadConfig{"ident", "is \"" + s.ident + "\", expected what stands after \"ServerPass.\" in dspam.conf"};
  });
  problems.of([&] {
    if (s.dlmtp && !is_plain(s.password))
      throw BadConfig{"password", "cannot be sent, expected printable ASCII without blanks, quotes, '@', '<' and '>'"};
  });
  problems.of([&] {
    const auto operation = choice(config, "operation", {"process", "classify"});
    s.parameters = "--" + operation + " --deliver=summary --stdout";
  });
  problems.of([&] { s.training_mode = choice(config, "training_mode", {"", "toe", "teft", "tum", "notrain"}); });
  problems.of([&] {
    s.connect_timeout = config.duration("connect_timeout");
    if (s.connect_timeout <= 0) throw BadConfig{"connect_timeout", "is 0, expected a time such as \"10s\""};
  });
  s.idle_interval = config.duration("idle_interval");
  s.max_size = config.size("max_size");
  problems.end();
}

void read_actions(const Config &config, Settings &s) {
  plugin::Problems problems{config};
  problems.of([&] {
    s.defaults.action = *parse_action(choice(config, "spam_action", {"tag", "quarantine", "reject", "accept"}));
  });
  problems.of([&] {
    s.defaults.subject = config.option("spam_subject");
    if (!is_subject_prefix(s.defaults.subject))
      throw BadConfig{"spam_subject", "is \"" + s.defaults.subject + "\", expected printable ASCII"};
  });
  problems.of([&] {
    const auto field = config.option("spam_header");
    if (field.empty()) return;
    const auto colon = std::min(field.find(':'), field.size());
    s.spam_header_name = field.substr(0, colon);
    s.spam_header_value = field.substr(std::min(field.find_first_not_of(": ", colon), field.size()));
    if (!is_field_name(s.spam_header_name) || colon == field.size() || !is_subject_prefix(s.spam_header_value))
      throw BadConfig{"spam_header", "is \"" + field + "\", expected a field such as \"X-Spam-Flag: YES\""};
  });
  problems.of([&] {
    s.signature_header = config.option("signature_header");
    if (!is_field_name(s.signature_header))
      throw BadConfig{"signature_header", "is \"" + s.signature_header + "\", expected the name of a header field"};
  });
  s.reject_text = config.option("reject_text");
  s.preferences = config.option("preferences");
  problems.of([&] { s.mixed = *parse_mixed(choice(config, "mixed", {"first", "any", "all"})); });
  problems.of([&] { s.silence_accepts = choice(config, "no_verdict", {"failure", "accept"}) == "accept"; });
  problems.end();
}

void read_training(const Config &config, Settings &s) {
  plugin::Problems problems{config};
  problems.of([&] { s.user = user_template(config, "user"); });
  s.fold_case = config.flag("fold_case");
  s.recipient_delimiter = config.option("recipient_delimiter");
  problems.of(
      [&] { s.train_user = config.option("train_user").empty() ? s.user : user_template(config, "train_user"); });
  problems.of([&] { s.train_spam = addresses(config, "train_spam"); });
  problems.of([&] { s.train_ham = addresses(config, "train_ham"); });
  problems.of([&] { s.train_from_anyone = choice(config, "train_from", {"trusted", "anyone"}) == "anyone"; });
  problems.of([&] {
    for (const auto &address : s.train_spam)
      if (std::find(s.train_ham.begin(), s.train_ham.end(), address) != s.train_ham.end())
        throw BadConfig{"train_ham", "has \"" + address + "\", which is in train_spam, too"};
  });
  problems.of([&] {
    if (config.option("mode") == "lmtp" && !(s.train_spam.empty() && s.train_ham.empty()))
      throw BadConfig{"mode", "is \"lmtp\", in which DSPAM takes no corrections; expected \"dlmtp\" beside train_spam"};
  });
  problems.end();
}

}  // namespace

const mansio_option kOptions[] = {
    {"server", MANSIO_OPT_TEXT, MANSIO_OPT_REQUIRED, nullptr,
     "DSPAM's daemon: `unix:/path`, or `host:port` for TCP (24 when no port is given)."},
    {"mode", MANSIO_OPT_TEXT, 0, "dlmtp", "Which of its protocols it speaks: `dlmtp` or `lmtp`."},
    {"ident", MANSIO_OPT_TEXT, 0, "", "In dlmtp: what stands after `ServerPass.` in dspam.conf."},
    {"password", MANSIO_OPT_TEXT, MANSIO_OPT_SECRET, "", "In dlmtp: the value of that `ServerPass.`."},
    {"operation", MANSIO_OPT_TEXT, 0, "process",
     "In dlmtp: `process` (look, learn, sign) or `classify` (look only; such mail has no signature)."},
    {"training_mode", MANSIO_OPT_TEXT, 0, "",
     "In dlmtp: `toe`, `teft`, `tum` or `notrain`, in the place of dspam.conf's `TrainingMode`."},
    {"user", MANSIO_OPT_TEXT, 0, "{address}",
     "DSPAM's name of a recipient: a text with {address}, {local} and {domain}, or one user for all."},
    {"fold_case", MANSIO_OPT_BOOLEAN, 0, "true", "Take local parts in lower case for `user` and `preferences`."},
    {"recipient_delimiter", MANSIO_OPT_TEXT, 0, "",
     "Characters that begin an address extension, which `user` and `preferences` leave out: `+`."},
    {"spam_action", MANSIO_OPT_TEXT, 0, "tag",
     "What becomes of spam: `tag`, `quarantine` (taken and held), `reject` (550) or `accept` (result fields only)."},
    {"spam_subject", MANSIO_OPT_TEXT, 0, "[SPAM]", "Put before the subject of mail that is tagged; may be empty."},
    {"spam_header", MANSIO_OPT_TEXT, 0, "", "A header field for spam, such as `X-Spam-Flag: YES`."},
    {"reject_text", MANSIO_OPT_TEXT, 0, "the message is taken for spam", "Text of the reply where spam is refused."},
    {"signature_header", MANSIO_OPT_TEXT, 0, "X-DSPAM-Signature", "Header field that bears DSPAM's signature."},
    {"preferences", MANSIO_OPT_TEXT, 0, "",
     "NAME of the [lookup.NAME] with what recipients want, such as `spamAction=tag,spamSubject=[SPAM],enable=yes`."},
    {"mixed", MANSIO_OPT_TEXT, 0, "all",
     "Of several recipients, whose verdict counts: `first`, `any` (one calls it spam) or `all` (each does)."},
    {"no_verdict", MANSIO_OPT_TEXT, 0, "failure",
     "DSPAM did not look at the message (an error of its own, or its user has opted out): `failure` or `accept`."},
    {"train_spam", MANSIO_OPT_LIST, 0, "", "Addresses to which users send spam that was missed."},
    {"train_ham", MANSIO_OPT_LIST, 0, "", "Addresses to which users send mail that was taken for spam."},
    {"train_user", MANSIO_OPT_TEXT, 0, "", "DSPAM's name of the sender of a correction; empty means as in `user`."},
    {"train_from", MANSIO_OPT_TEXT, 0, "trusted",
     "Whose corrections are taken: `trusted` (clients in mynetworks, and those that are logged in) or `anyone`."},
    {"max_size", MANSIO_OPT_SIZE, 0, "4M", "Larger mail is not shown to DSPAM; 0 means no limit."},
    {"connect_timeout", MANSIO_OPT_DURATION, 0, "10s", "Longest wait for a connection and its greeting."},
    {"idle_interval", MANSIO_OPT_DURATION, 0, "60s",
     "Connections that were not used for this long are not used again; 0: each message has its own."},
    {},
};

Settings read_settings(const plugin::Config &config) {
  Settings s;
  plugin::Problems problems{config};
  problems.of([&] { read_server(config, s); });
  problems.of([&] { read_actions(config, s); });
  problems.of([&] { read_training(config, s); });
  problems.end();
  return s;
}

}  // namespace mansio::dspam
