// The commands that are answered at once: everything but DATA, BDAT, STARTTLS, ETRN and AUTH.
#include "kernel/ingress/client_rates.hpp"
#include "kernel/ingress/params.hpp"
#include "kernel/ingress/priority.hpp"
#include "kernel/ingress/session.hpp"
#include "kernel/ingress/tls.hpp"
#include "kernel/ingress/xforward.hpp"
#include "kernel/mail/address.hpp"
#include "kernel/mail/new_mail.hpp"
#include "kernel/mail/trace.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

constexpr std::uint32_t kOvershoot = 1000;  // RCPTs over the limit before they count as errors

Reply syntax_refusal(const Command &command) {
  switch (command.syntax) {
    case Syntax::BadPath:
      return command.verb == Verb::Mail ? Reply{501, {5, 5, 4}, "Syntax: MAIL FROM:<address>"}
                                        : Reply{501, {5, 5, 4}, "Syntax: RCPT TO:<address>"};
    case Syntax::BadParameter:
      return {501, {5, 5, 4}, "Error: bad parameter syntax"};
    case Syntax::TooManyParameters:
      return {501, {5, 5, 4}, "Error: too many parameters"};
    default:
      break;
  }
  std::string usage = "Syntax: " + std::string{name(command.verb)};
  switch (command.verb) {
    case Verb::Helo:
    case Verb::Ehlo:
      usage += " hostname";
      break;
    case Verb::Vrfy:
      usage += " address";
      break;
    case Verb::Bdat:
      usage += " count [LAST]";
      break;
    case Verb::XForward:
      usage += " attribute=value...";
      break;
    case Verb::Auth:
      usage += " mechanism [initial-response]";
      break;
    default:
      break;
  }
  // RFC 3030: without a size nobody knows where the chunk ends, so the connection cannot go on.
  return {static_cast<std::uint16_t>(command.verb == Verb::Bdat ? 521 : 501), {5, 5, 4}, usage};
}

// The mail layer's errors carry the enhanced code; these codes go with them (RFC 5321, RFC 6531 section 3.7.4.2).
Reply path_refusal(const Error &error, EnhancedStatus fallback) {
  const auto enhanced = error.enhanced.empty() ? fallback : error.enhanced;
  const bool needs_utf8 = enhanced == EnhancedStatus{5, 6, 7};
  return {static_cast<std::uint16_t>(needs_utf8 ? 553 : 501), enhanced, error.text};
}

bool printable_ascii(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) { return c > 32 && c < 127; });
}

}  // namespace

bool Session::offers(std::string_view keyword) const {
  if (keyword == "SMTPUTF8" && !smtpd_.smtputf8) return false;
  if (keyword == "MT-PRIORITY" && !smtpd_.mt_priority) return false;
  if (keyword == "ETRN" && !may_etrn()) return false;
  if (keyword == "XFORWARD" && !may_xforward()) return false;
  if (keyword == "AUTH" && !may_auth()) return false;
  if (keyword == "STARTTLS" && (!service_.tls || !service_.tls->current() || connection_.secure())) return false;
  return std::none_of(smtpd_.discard_ehlo_keywords.begin(), smtpd_.discard_ehlo_keywords.end(),
                      [&](const std::string &k) { return equals_nocase(k, keyword); });
}

bool Session::syntax_ok(const Command &command) {
  if (command.syntax == Syntax::Ok) return true;
  const auto why = syntax_refusal(command);
  refuse(why);
  if (why.code == 521) open_ = false;
  return false;
}

// Well formed, and not to be said before TLS.
bool Session::permitted(const Command &command) {
  if (!syntax_ok(command)) return false;
  const bool before_tls = smtpd_.tls_security_level == config::TlsLevel::Encrypt && !connection_.secure();
  if (!before_tls || (command.verb != Verb::Mail && command.verb != Verb::Rcpt && command.verb != Verb::Vrfy))
    return true;
  refuse({530, {5, 7, 0}, "Must issue a STARTTLS command first"});
  return false;
}

void Session::answer(const Command &command) {
  switch (command.verb) {
    case Verb::Unknown:
      ++counts_.unknown;
      return refuse({500, {5, 5, 2}, "Error: command not recognized"});
    case Verb::Unimplemented:
      ++counts_.unknown;
      return refuse({502, {5, 5, 1}, "Error: command not implemented"});
    case Verb::NotSmtp:
      ++counts_.unknown;
      env_.log.info("not an SMTP client", {{"client", client_.address}});
      return hang_up({221, {2, 7, 0}, "Error: this is an SMTP server. Goodbye."});
    case Verb::Helo:
    case Verb::Ehlo:
      if (!helo_.empty()) count_junk();  // the first, and that after STARTTLS, have to be
      break;
    case Verb::Rset:
    case Verb::Noop:
    case Verb::Vrfy:
    case Verb::Help:
      count_junk();
      break;
    default:
      break;
  }
  if (!permitted(command)) return;
  switch (command.verb) {
    case Verb::Helo:
    case Verb::Ehlo:
      return helo(command);
    case Verb::Mail:
      return mail(command);
    case Verb::Rcpt:
      return rcpt(command);
    case Verb::Rset:
      ++counts_.rset;
      reset();
      return reply({250, {2, 0, 0}, "Ok"});
    case Verb::Noop:
      return reply({250, {2, 0, 0}, "Ok"});
    // Saying more would tell spammers who lives here (RFC 5321 section 7.3).
    case Verb::Vrfy:
      return reply({252, {2, 0, 0}, "Cannot VRFY user, but will take mail for it if it can be delivered"});
    case Verb::Help:
      return help();
    case Verb::XForward:
      return xforward(command);
    case Verb::Quit:
      return hang_up({221, {2, 0, 0}, "Bye"});
    default:
      break;
  }
}

void Session::helo(const Command &command) {
  ++counts_.helo;
  const auto end = command.argument.find_first_of(" \t");
  const auto who = command.argument.substr(0, end);
  // The name is only recorded; but what goes into headers and logs has to be one printable word.
  if (!printable_ascii(who) || who.size() > kMaxDomain) return refuse({501, {5, 5, 4}, "Error: bad host name"});
  reset();
  screening_.helo.reset();
  helo_ = who;
  esmtp_ = command.verb == Verb::Ehlo;
  if (esmtp_)
    ehlo_reply();
  else
    accept(Reply{250, {}, env_.settings.myhostname});
}

void Session::ehlo_reply() {
  std::vector<std::string> lines{env_.settings.myhostname};
  for (const std::string_view keyword : {"PIPELINING", "SIZE", "ETRN", "STARTTLS", "AUTH", "ENHANCEDSTATUSCODES",
                                         "8BITMIME", "DSN", "SMTPUTF8", "MT-PRIORITY", "CHUNKING", "XFORWARD"}) {
    if (!offers(keyword)) continue;
    lines.emplace_back(keyword);
    if (keyword == "AUTH") lines.back() += " " + auth_mechanisms();
    if (keyword == "SIZE") lines.back() += " " + std::to_string(smtpd_.message_size_limit);
    if (keyword == "XFORWARD") lines.back().append(" ").append(kXForwardAttributes);
  }
  std::string text;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    text += i + 1 < lines.size() ? "250-" : "250 ";
    text += lines[i];
    text += "\r\n";
  }
  accept(std::move(text));
}

void Session::help() {
  std::string commands = "Commands: HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT";
  if (offers("CHUNKING")) commands += " BDAT";
  for (const std::string_view keyword : {"STARTTLS", "AUTH", "ETRN", "XFORWARD"})
    if (offers(keyword)) commands.append(" ").append(keyword);
  reply({214, {2, 0, 0}, std::move(commands)});
}

// A client of a UNIX socket has no address, and would be in networks that "::" is in.
bool Session::may_xforward() const {
  if (client_.address == "unix") return false;
  const auto &hosts = smtpd_.authorized_xforward_hosts;
  return std::any_of(hosts.begin(), hosts.end(), [&](const config::Network &n) { return n.contains(client_.key); });
}

void Session::xforward(const Command &command) {
  if (!offers("XFORWARD")) {
    const Reply no{550, {5, 7, 0}, "Error: insufficient authorization"};
    log_reject("XFORWARD", no);
    return refuse(no);
  }
  if (transaction_) return refuse({503, {5, 5, 1}, "Error: MAIL transaction in progress"});
  auto origin = origin_.value_or(Origin{});
  const auto bad = read_xforward(command.argument, origin);
  origin_.reset();  // no half of what was to be told
  if (bad) return refuse(*bad);
  origin_ = std::move(origin);
  reply({250, {2, 0, 0}, "Ok"});
}

void Session::mail(const Command &command) {
  ++counts_.mail;
  // A client that always has the next command waiting would keep us from ever being done.
  if (draining_) return hang_up(goodbye({4, 3, 2}, "Service shutting down"));
  if (smtpd_.helo_required && helo_.empty()) return refuse({503, {5, 5, 1}, "Error: send HELO/EHLO first"});
  if (smtpd_.sasl_auth_required && !client_.may_relay()) {
    const Reply who{530, {5, 7, 0}, "Authentication required"};
    log_reject("MAIL", who);
    return refuse(who);
  }
  if (transaction_) return refuse({503, {5, 5, 1}, "Error: nested MAIL command"});
  if (const auto why = over_rate(env_, service_, client_, process::ClientEvent::Message)) {
    ++service_.counters.deferred_messages;
    return refuse(*why);
  }
  MailParameters parameters;
  if (const auto bad = read_parameters(
          command, [this](auto k) { return offers(k); }, parameters))
    return refuse(*bad);
  const auto path = parse_reverse_path(command.path, {.smtputf8 = parameters.smtputf8, .strict = false});
  if (!path) return refuse(path_refusal(path.error(), {5, 1, 7}));
  if (!path->rest.empty()) return refuse({501, {5, 1, 7}, "Bad sender address syntax"});
  if (smtpd_.message_size_limit != 0 && parameters.size > smtpd_.message_size_limit) {
    ++service_.counters.rejected_messages;
    const Reply too_big{552, {5, 3, 4}, "Message size exceeds fixed limit"};
    log_reject("MAIL", too_big);
    return refuse(too_big);
  }
  if (const auto why = env_.refusal()) {  // our trouble, not the client's error
    ++service_.counters.deferred_messages;
    log_reject("MAIL", *why);
    return reply(*why);
  }
  auto &envelope = transaction_.emplace().envelope;
  envelope.sender = to_string(path->address);
  envelope.ret = parameters.ret;
  envelope.envid = std::move(parameters.envid);
  envelope.body_type = parameters.body;
  envelope.smtputf8 = parameters.smtputf8;
  // Of a client that we do not know the claim is worth nothing (RFC 4954 section 5). Transports and the log hear of it;
  // no next hop does, whether we authenticate to it or not.
  if (client_.authenticated()) envelope.auth_sender = std::move(parameters.auth);
  envelope.tenant = smtpd_.tenant;
  // What is asked for in vain is no reason to refuse the message, but is said (RFC 6710 section 5, enhanced code
  // X.3.6).
  const auto priority = parameters.priority.value_or(0);
  const bool lowered = !may_ask_for(priority, client_.may_relay());
  envelope.priority = static_cast<std::uint8_t>(lowered ? 0 : priority);
  transaction_->has_priority = parameters.priority.has_value();
  transaction_deadline_ = env_.clock.mono() + smtpd_.transaction_timeout;
  accept(lowered ? Reply{250, {2, 3, 6}, "0 is the priority of this message"} : Reply{250, {2, 1, 0}, "Ok"});
}

// The recipient as it was given, in `original`; nullopt: answered already.
std::optional<Recipient> Session::read_rcpt(const Command &command) {
  ++counts_.rcpt;
  const auto no = [this](const Reply &why) {
    refuse(why);
    return std::nullopt;
  };
  if (!transaction_) return no({503, {5, 5, 1}, "Error: need MAIL command"});
  if (transaction_->decoder) return no({503, {5, 5, 1}, "Error: RCPT after BDAT"});
  transaction_->rcpt_seen = true;
  if (const auto why = over_rate(env_, service_, client_, process::ClientEvent::Recipient)) {
    ++service_.counters.rejected_recipients;
    return no(*why);
  }
  const auto &envelope = transaction_->envelope;
  if (smtpd_.recipient_limit != 0 && envelope.recipients.size() >= smtpd_.recipient_limit) {
    const Reply many{452, {4, 5, 3}, "Error: too many recipients"};
    if (++transaction_->overshoot > kOvershoot)
      refuse(many);
    else
      reply(many);
    return std::nullopt;
  }
  RcptParameters parameters;
  if (const auto bad = read_parameters(
          command, [this](auto k) { return offers(k); }, envelope.smtputf8, parameters))
    return no(*bad);
  const auto path = parse_forward_path(command.path, {.smtputf8 = envelope.smtputf8, .strict = false});
  if (!path) return no(path_refusal(path.error(), {5, 1, 3}));
  if (!path->rest.empty()) return no({501, {5, 1, 3}, "Bad recipient address syntax"});
  Recipient recipient;
  recipient.original = to_string(path->address);
  recipient.notify = parameters.notify;
  recipient.orcpt = std::move(parameters.orcpt);
  return recipient;
}

void Session::refuse_recipient(const Reply &why, std::string_view recipient) {
  ++service_.counters.rejected_recipients;
  log_reject("RCPT", why, recipient);
  refuse(why);
}

void Session::rcpt(const Command &command) {
  auto recipient = read_rcpt(command);
  if (!recipient) return;
  auto &envelope = transaction_->envelope;
  auto verdict = env_.policy.recipient(smtpd_, client_, envelope.sender, recipient->original);
  if (verdict.refusal) return refuse_recipient(*verdict.refusal, recipient->original);
  recipient->address = std::move(verdict.address);
  add_recipient(envelope, std::move(*recipient), std::move(verdict.route));
  accept(Reply{250, {2, 1, 5}, "Ok"});
}

}  // namespace mansio::ingress
