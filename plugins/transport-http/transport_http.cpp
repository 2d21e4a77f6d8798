// transport-http: POSTs each delivery to a web server. Options and behaviour: README.md.
#include <string>
#include <utility>

#include "mansio/plugin.hpp"
#include "plugins/transport-http/body.hpp"
#include "plugins/transport-http/client.hpp"
#include "plugins/transport-http/envelope.hpp"
#include "plugins/transport-http/options.hpp"
#include "plugins/transport-http/signature.hpp"

namespace mansio::http {
namespace {

using plugin::Delivery;
using plugin::Reply;

constexpr std::uint32_t kThreads = 16;  // requests at once

class TransportHttp {
 public:
  static constexpr plugin::Info info{"transport-http", "1.0", MANSIO_NEEDS_NETWORK, MANSIO_BLOCKING, kThreads};
  static constexpr const mansio_option *options = kOptions;

  explicit TransportHttp(const plugin::Host &host) : host_(host), settings_(read_settings(host)), client_(settings_) {}
  static void check(const plugin::Config &config) { read_settings(config); }

  void start(plugin::Token token, const Delivery &mail) {
    auto body = body_of(token.op(), mail);
    auto headers = settings_.headers;
    for (auto &field : header_fields(mail, settings_.format == Format::Raw)) headers.push_back(std::move(field));
    if (!settings_.bearer_token.empty()) headers.push_back("Authorization: Bearer " + settings_.bearer_token);
    if (!settings_.hmac_secret.empty()) {
      const auto code = signature(body, settings_.hmac_secret);
      if (!code) return token.complete(plugin::defer({4, 3, 0}, "the message could not be read").relay("none"));
      headers.push_back(settings_.signature_header + ": " + *code);
    }
    const auto time_limit = mail.deadline > 0 ? mail.deadline - host_.now() : settings_.timeout;
    const auto exchange = client_.post({std::move(headers), body, time_limit, [&] { return token.alive(); }});
    auto reply = reply_of(exchange);
    reply.relay(exchange.relay.empty() ? "none" : exchange.relay).times(exchange.connect_ns, exchange.transmit_ns);
    if (exchange.outcome == Exchange::Outcome::Answered)
      reply.remote_mta(settings_.host).connection_use(exchange.connection_use);
    token.complete(reply);
  }

 private:
  Body body_of(mansio_op op, const Delivery &mail) const {
    auto read = [this, op](auto offset, auto *to, auto n) { return host_.read(op, offset, to, n); };
    if (settings_.format == Format::Raw) return Body{std::move(read), mail.length};
    return Body{json_head(mail), std::move(read), mail.length, "\"}"};
  }

  Reply reply_of(const Exchange &exchange) const {
    switch (exchange.outcome) {
      case Exchange::Outcome::Answered:
        return reply_for(exchange.response);
      case Exchange::Outcome::Unreadable:
        return plugin::defer({4, 3, 0}, "the message could not be read");
      case Exchange::Outcome::Uncertain:
        return plugin::uncertain({4, 4, 2}, settings_.host + " has the message and did not answer: " + exchange.error);
      case Exchange::Outcome::NotSent:
        break;
    }
    auto reply = plugin::defer({4, 4, exchange.connected ? std::uint16_t{2} : std::uint16_t{1}},
                               settings_.host + ": " + exchange.error);
    return exchange.connected ? reply : reply.site_failure();
  }

  plugin::Host host_;
  Settings settings_;
  Client client_;
};

}  // namespace
}  // namespace mansio::http

MANSIO_TRANSPORT_PLUGIN(mansio::http::TransportHttp)
