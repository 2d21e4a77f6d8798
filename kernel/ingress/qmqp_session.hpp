// QmqpSession: one QMQP client (https://cr.yp.to/proto/qmqp.html), which brings one message for a connection and
// hears one reply: K taken, Z try later, D never. K means what SMTP's 250 means, with the same durability.
//
// Only clients of `qmqpd_authorized_clients` are served; they may send to anywhere. A reply covers all recipients, so
// one that is refused refuses the message: half of it taken would be either lost or sent twice. The request is read
// to its end before a refusal, because clients write all of it before they listen; but not when its form is broken or
// it is too large: then the reply comes at once and the connection ends.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/ingress/client_fields.hpp"
#include "kernel/ingress/client_session.hpp"
#include "kernel/ingress/connection.hpp"
#include "kernel/ingress/data.hpp"
#include "kernel/ingress/message_effects.hpp"
#include "kernel/mail/headers.hpp"
#include "kernel/mail/qmqp.hpp"

namespace mansio::ingress {

class QmqpSession final : public ClientSession {
 public:
  // The service has a `qmqpd`.
  QmqpSession(Environment &environment, Service &service, io::UniqueFd socket, int family, Client client);

  Task<void> run() override;
  void sweep(Nanos now) override;
  void drain() override;
  void cut() override;
  void abandon() override { draft_.reset(); }
  const Client &client() const override { return client_; }
  Service &service() override { return service_; }

 private:
  enum class Stop : std::uint8_t { None, Timeout, Drain };

  Task<std::optional<Reply>> receive();  // nullopt: the client is gone
  Task<void> part(const QmqpReader::Event &event);
  Task<void> store(std::string_view canonical);
  void sender(std::string_view address);
  Task<void> recipient(std::string_view address);
  void refuse(Reply why);  // the first one counts
  std::optional<Reply> wrong_as_a_whole() const;
  Task<Reply> finish();
  Task<void> answer(Reply reply);
  Task<bool> wait_input();
  void stop(Stop why);

  Environment &env_;
  Service &service_;
  const config::Smtpd &smtpd_;
  const Qmqpd &qmqpd_;
  Connection connection_;
  Client client_;

  QmqpReader reader_;
  ContentDecoder decoder_;
  ContentScanner scanner_;
  ClientFields fields_;
  std::unique_ptr<spool::Draft> draft_;
  Envelope envelope_;
  std::optional<Reply> refusal_;
  MessageEffects effects_;

  bool waiting_ = false, begun_ = false, draining_ = false, cut_ = false, answering_ = false;
  Stop stop_ = Stop::None;
  Nanos deadline_ = 0, end_ = 0;  // mono; of a wait, of the request
};

// Reply as a netstring: "K" for 2xx, "Z" for 4xx, "D" for the rest, then its text.
std::string qmqp_reply(const Reply &reply);

}  // namespace mansio::ingress
