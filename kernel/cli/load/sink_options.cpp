#include "kernel/cli/load/sink_options.hpp"

#include <algorithm>

namespace mansio::cli::load {
namespace {

void declare_for_smtp_sink(CLI::App &app, SinkCommandLine &o) {
  app.add_option("-f", o.hard,
                 "refuse these commands with -B's reply: CONNECT HELO EHLO LHLO MAIL RCPT VRFY DATA . RSET NOOP QUIT");
  app.add_option("-r", o.soft, "refuse these commands with -b's reply");
  app.add_option("-q", o.dropped, "close the connection without a reply at these commands");
  app.add_option("-Q", o.goodbye, "answer 421 and close the connection at these commands");
  app.add_option("-s", o.logged, "log these commands to syslog");
  app.add_option("-b", o.soft_reply, "reply of -r");
  app.add_option("-B", o.hard_reply, "reply of -f");
  app.add_option("-W", o.command_delays,
                 "command:delay[:odds]: wait before the reply; with odds (1-99) once more as often as "
                 "a die of 100 falls below them")
      ->allow_extra_args(false);
  app.add_option("-w", o.data_delay, "wait so long before the reply to DATA");
  app.add_option("-A", o.abort_data, "wait so long after the reply to DATA, refuse the message unread and close");
  app.add_option("-H", o.read_delay, "wait so long after the reply to DATA before content is read");
  app.add_flag("-8", o.no_8bitmime, "do not offer 8BITMIME");
  app.add_flag("-e", o.no_esmtp, "no ESMTP: EHLO is an unknown command");
  app.add_flag("-E", o.no_enhanced, "do not offer ENHANCEDSTATUSCODES");
  app.add_flag("-N", o.no_dsn, "do not offer DSN");
  app.add_flag("-p", o.no_pipelining, "do not offer PIPELINING");
  app.add_flag("-P", o.pix, "greet as through a Cisco PIX that fixes SMTP up; no ESMTP");
  app.add_flag("-a,-C,-F", o.ignored, "no AUTH, XCLIENT, XFORWARD (they are never offered)");
  app.add_option("-d", o.dump_each,
                 "write each message to a file of its own: a strftime template, to which a random number is added");
  app.add_option("-D", o.dump_together, "append messages to the file of this strftime template");
  app.add_option("-S", o.start, "put this before each message in these files; C's escapes such as \\n");
  app.add_option("-m", o.connections_at_once, "serve so many connections at once; others wait to be accepted");
  app.add_option("-n", o.sessions, "stop after that many sessions");
  app.add_option("-T,--window", o.window, "size of the TCP window, bytes")->check(CLI::Range(1, 65535));
  app.add_option("-u", o.user, "become this user once the socket is open");
  app.add_option("-R", o.root, "make this the root directory once the socket is open");
  app.add_option("-x", o.stop_after, "stop after that time");
}

}  // namespace

void declare(CLI::App &app, SinkCommandLine &o) {
  app.set_help_flag("--help", "print this and exit");
  app.add_option("listen", o.listen, "[inet:][host]:port, [address]:port (port 0: any) or unix:/path")->required();
  app.add_option("backlog", o.backlog, "connections that may wait to be accepted")->check(CLI::Range(1, 1'000'000));
  app.add_flag("-L,--lmtp", o.lmtp, "speak LMTP: a reply for each recipient after the content");
  app.add_flag("--qmqp", o.qmqp, "speak QMQP")->excludes("--lmtp");
  app.add_flag("-4", o.ipv4, "IPv4 only");
  app.add_flag("-6", o.ipv6, "IPv6 only")->excludes("-4");
  app.add_flag("--tls", o.tls, "offer STARTTLS, with a certificate made for this run unless one is given");
  app.add_flag("--implicit-tls", o.implicit_tls, "TLS from the first octet");
  app.add_option("--cert", o.certificate, "certificate chain, PEM");
  app.add_option("--key", o.key, "private key, PEM (default: in the file of --cert)");
  app.add_option("-h,--hostname", o.hostname, "name in the greeting");
  app.add_option("--without", o.without, "do not offer this EHLO keyword")->delimiter(',');
  app.add_option("--size-limit", o.size_limit, "largest message, bytes; 0 = none");
  app.add_option("--max-connections", o.max_connections, "more are answered 421");
  app.add_option("--reply", o.replies, "STAGE[~text]:REPLY[:probability], such as RCPT:450:0.3")
      ->allow_extra_args(false);
  app.add_option("--drop", o.drops, "STAGE[~text][:probability], such as DATA_END:0.1: close without a reply")
      ->allow_extra_args(false);
  app.add_option("--delay", o.delays, "STAGE[~text]:TIME[:probability], such as CONNECT:2s")->allow_extra_args(false);
  app.add_option("--seed", o.seed, "of the dice behind the probabilities");
  app.add_option("--dump", o.dump, "write each message to DIR/new, after X-Sink- fields with its envelope");
  app.add_option("--log", o.log, "append a line for each message to this file");
  app.add_option("-M,--quit-after", o.quit_after, "stop after that many messages");
  app.add_option("-t,--timeout", o.timeout, "longest wait for a client");
  app.add_flag("-c,--counter", o.counters, "show running counters");
  app.add_flag("-v,--verbose", o.verbose, "show the conversations");
  app.add_flag("--json", o.json, "print the totals as JSON");
  declare_for_smtp_sink(app, o);
  app.footer(
      "Stages: CONNECT HELO STARTTLS MAIL RCPT DATA BDAT DATA_END RSET QUIT. With ~text a rule is for those only\n"
      "whose argument holds that text; DATA_END in LMTP asks for each recipient. QMQP has CONNECT and DATA_END.\n"
      "smtp-sink's and qmqp-sink's options mean what they mean there, with --qmqp for the latter. None is left out,\n"
      "but these differ: root need not give -u; -m has no default, -t is 5m, -h is sink.invalid; the backlog need not\n"
      "be given; -f and -r do not imply -p, because refusals among pipelined commands are answered in order here.\n"
      "Times may have a unit: 250ms, 2s, 1m.");
}

namespace {

Result<void> add_rules(Faults &faults, FaultKind kind, const std::vector<std::string> &specs) {
  for (const auto &spec : specs) {
    auto rule = parse_fault(kind, spec);
    if (!rule) return rule.error();
    faults.add(std::move(*rule));
  }
  return {};
}

Result<void> add_commands(Faults &faults, const std::string &list, const FaultRule &like) {
  auto rules = command_rules(list, like);
  if (!rules) return rules.error();
  for (auto &rule : *rules) faults.add(std::move(rule));
  return {};
}

FaultRule rule_of(FaultKind kind, std::string reply = {}) {
  FaultRule rule;
  rule.kind = kind;
  rule.reply = std::move(reply);
  return rule;
}

Result<void> add_smtp_sink_rules(const SinkCommandLine &o, Faults &faults) {
  for (const auto *reply : {&o.soft_reply, &o.hard_reply}) {
    if (auto rule = parse_fault(FaultKind::Reply, "RCPT:" + *reply); !rule) return rule.error();
  }
  for (const auto &[list, rule] : {std::pair{&o.logged, rule_of(FaultKind::Log)},
                                   {&o.dropped, rule_of(FaultKind::Drop)},
                                   {&o.goodbye, rule_of(FaultKind::Reply, "421 4.0.0 Server closing connection")},
                                   {&o.hard, rule_of(FaultKind::Reply, o.hard_reply)},
                                   {&o.soft, rule_of(FaultKind::Reply, o.soft_reply)}}) {
    if (auto added = add_commands(faults, *list, rule); !added) return added;
  }
  auto delays = o.command_delays;
  if (!o.data_delay.empty()) delays.push_back("DATA:" + o.data_delay);
  for (const auto &delay : delays) {
    auto rule = parse_delay(delay);
    if (!rule) return rule.error();
    faults.add(std::move(*rule));
  }
  return {};
}

Result<void> offer(const SinkCommandLine &o, SinkOptions &options) {
  options.without.insert(o.without.begin(), o.without.end());
  for (const auto &[off, keyword] : {std::pair{o.no_8bitmime, "8BITMIME"},
                                     {o.no_enhanced, "ENHANCEDSTATUSCODES"},
                                     {o.no_dsn, "DSN"},
                                     {o.no_pipelining, "PIPELINING"}}) {
    if (off) options.without.insert(keyword);
  }
  options.pix = o.pix;
  options.esmtp = !o.no_esmtp && !o.pix;
  if (o.tls || o.implicit_tls || !o.certificate.empty()) {
    auto tls = o.certificate.empty() ? self_signed_tls(o.hostname)
                                     : server_tls(o.certificate, o.key.empty() ? o.certificate : o.key);
    if (!tls) return tls.error();
    options.tls = *tls;
  }
  return {};
}

}  // namespace

Result<void> configure(const SinkCommandLine &o, Sink &sink) {
  auto &options = sink.options;
  options.lmtp = o.lmtp;
  options.qmqp = o.qmqp;
  options.hostname = o.hostname;
  options.implicit_tls = o.implicit_tls;
  options.size_limit = o.size_limit;
  options.window = o.window;
  options.trace = o.verbose;
  options.counters = o.counters;
  options.dumps = {o.dump, o.dump_each, o.dump_together, unescape(o.start), o.hostname};
  if (auto offered = offer(o, options); !offered) return offered;
  if (!o.abort_data.empty()) {
    const auto time = parse_duration(o.abort_data);
    if (!time) return time.error();
    options.abort_data = *time;
  }
  if (!o.read_delay.empty()) {
    const auto time = parse_duration(o.read_delay);
    if (!time) return time.error();
    options.read_delay = *time;
  }
  for (const auto &[kind, specs] :
       {std::pair{FaultKind::Reply, &o.replies}, {FaultKind::Drop, &o.drops}, {FaultKind::Delay, &o.delays}}) {
    if (auto added = add_rules(sink.faults, kind, *specs); !added) return added;
  }
  return add_smtp_sink_rules(o, sink.faults);
}

}  // namespace mansio::cli::load
