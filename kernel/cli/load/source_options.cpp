#include "kernel/cli/load/source_options.hpp"

#include <sys/socket.h>

namespace mansio::cli::load {

void declare(CLI::App &app, SourceOptions &o) {
  app.add_option("target", o.target, "[inet:]host[:port], [address]:port or unix:/path")->required();
  app.add_option("-s,--sessions", o.sessions, "sessions at once")->check(CLI::Range(1, 100'000));
  app.add_option("-m,--messages", o.messages, "messages in all");
  app.add_option("-l,--size", o.size, "bytes of body a message");
  app.add_option("-r,--recipients", o.recipients, "recipients a message; a number goes before each unless --to has {r}")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("-f,--from", o.from, "sender; {n} message, {s} session; \"\" = null sender");
  app.add_option("-t,--to", o.to, "recipient; {n} message, {s} session, {r} recipient, {d} message modulo --domains");
  app.add_flag("-N,--number-recipients", o.number_recipients,
               "put a number that never comes again before each recipient");
  app.add_option("--domains", o.domains, "how many values {d} takes")->check(CLI::Range(1, 1'000'000'000));
  app.add_option("-S,--subject", o.subject, "with {n} and {s}");
  app.add_option("-F,--message", o.file, "send this file (header section and body) instead of generated content");
  app.add_option("-M,--helo", o.helo, "name in EHLO, and domain of the default addresses when it is given");
  app.add_option("--per-connection", o.per_connection, "messages a connection; 0 = keep it open");
  app.add_flag("-d", o.keep_open, "keep the connection for the next message (it is kept anyway)");
  app.add_flag("--no-pipelining", o.no_pipelining, "wait for each reply even where PIPELINING is offered");
  app.add_flag("-o,--old-mode", o.old_mode, "no HELO, and no header section");
  app.add_flag("-L,--lmtp", o.lmtp, "speak LMTP");
  app.add_flag("--qmqp", o.qmqp, "speak QMQP")->excludes("--lmtp");
  app.add_flag("--tls", o.tls, "STARTTLS, required")->excludes("--qmqp");
  app.add_flag("--implicit-tls", o.implicit_tls, "TLS from the first octet")->excludes("--qmqp");
  app.add_option("--ca", o.ca, "verify the certificate with these CAs, PEM");
  app.add_option("--server-name", o.server_name, "name for SNI and verification (default: the target's host)");
  app.add_flag("-4", o.ipv4, "IPv4 only");
  app.add_flag("-6", o.ipv6, "IPv6 only")->excludes("-4");
  app.add_option("-C,--connect-tries", o.connect_tries, "connect so often to a server that refuses or resets")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("-T,--window", o.window, "size of the TCP window, bytes")->check(CLI::Range(1, 65535));
  app.add_option("-w,--wait", o.wait, "wait so long between two messages of a session");
  app.add_option("-R,--random-wait", o.random_wait, "wait a random time up to this between two messages of a session");
  app.add_option("--timeout", o.timeout, "longest wait for the server");
  app.add_option(
      "--retry-for", o.retry_for,
      "send a message again, for that long, after 4xx or a lost connection (recipients already taken get it twice)");
  app.add_flag("-A", o.go_on, "go on when a reply is not the expected one (it goes on anyway)");
  app.add_option("--log", o.log, "append the Message-ID of each accepted message to this file");
  app.add_option("--run", o.run, "name of this run in Message-IDs (default: the process id)");
  app.add_flag("-c,--counter", o.counter, "show a running counter of messages");
  app.add_flag("-v,--verbose", o.verbose, "show the conversation");
  app.add_flag("--json", o.json, "print the figures as JSON");
  app.footer(
      "smtp-source's and qmqp-source's options mean what they mean there, with --qmqp for the latter. None is left\n"
      "out, but these differ: a connection is kept (-d) unless --per-connection 1 is given, because what is measured\n"
      "then is the server; a reply that was not expected is counted and does not end the run (-A); -l never counts\n"
      "the header section; addresses and the name in EHLO are source.invalid's and sink.invalid's unless given. Times\n"
      "may have a unit: 250ms, 2s, 1m.");
}

namespace {

const char *default_port(const SourceOptions &o) { return o.qmqp ? "628" : o.lmtp ? "24" : "25"; }

}  // namespace

Result<SourcePlan> plan_of(SourceOptions &o) {
  SourcePlan plan;
  for (const auto &[text, to] : {std::pair{&o.timeout, &plan.patience},
                                 {&o.retry_for, &plan.retry_for},
                                 {&o.wait, &plan.wait},
                                 {&o.random_wait, &plan.random_wait}}) {
    const auto time = parse_duration(*text);
    if (!time) return time.error();
    *to = *time;
  }
  auto target = parse_endpoint(o.target, false, {o.ipv4 ? AF_INET : o.ipv6 ? AF_INET6 : AF_UNSPEC, default_port(o)});
  if (!target) return target.error();
  auto &client = plan.client;
  client.target = std::move(*target);
  client.connect = {o.connect_tries, o.window, o.verbose};
  client.lmtp = o.lmtp;
  client.pipelining = !o.no_pipelining && !o.old_mode;
  client.greet = !o.old_mode;
  client.helo = o.helo;
  client.implicit_tls = o.implicit_tls;
  client.server_name = o.server_name.empty() ? client.target.host : o.server_name;
  if (o.tls || o.implicit_tls) {
    auto tls = client_tls(o.ca);
    if (!tls) return tls.error();
    client.tls = *tls;
    client.verify = !o.ca.empty();
  }
  return plan;
}

}  // namespace mansio::cli::load
