// The stored envelope: every field survives, fields of later versions are passed over, damage is refused.
#include "kernel/mail/envelope.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace mansio {
namespace {

Envelope full() {
  Envelope e;
  e.sender = "sender@example.com";
  e.recipients = {{"a@example.com", "A@alias.example", "rfc822;A@alias.example", kNotifyFailure | kNotifyDelay, 0},
                  {"b@example.com", "", "", 0, 1}};
  e.routes = {{"smtp", ""}, {"lmtp", "unix:/run/lmtp"}};
  e.config_epoch = 7;
  e.arrival = 1'700'000'000'123'456'789;
  e.body = {5'000'000'000, true, true, true, 12};
  e.ret = Ret::Hdrs;
  e.envid = "env id";
  e.body_type = BodyType::EightBitMime;
  e.smtputf8 = e.require_tls = true;
  e.client_address = "2001:db8::1";
  e.client_name = "client.example";
  e.client_port = 65535;
  e.helo = "helo.example";
  e.protocol = "ESMTPS";
  e.tls_version = "TLSv1.3";
  e.tls_cipher = "TLS_AES_256_GCM_SHA384";
  e.auth_user = "user";
  e.auth_method = "SCRAM-SHA-256";
  e.auth_sender = "submitter@example.com";
  e.listener = "smtp";
  e.origin = Origin{"first.example", "192.0.2.7", "helo.first.example", "ESMTP", "4ABC", 2500, true};
  e.content_filter = "scan:[127.0.0.1]:10025";
  e.tenant = "t";
  e.campaign = "c";
  e.source_pool = "p";
  e.priority = 255;
  e.hold_until = std::numeric_limits<Nanos>::max();
  e.dsn_parent = {MessageId{std::numeric_limits<std::uint64_t>::max()}, 3};
  e.restored = {std::numeric_limits<std::uint64_t>::max(), MessageId{7}};
  e.metadata = {{"key", "value"}, {"key", ""}, {"", "value"}};
  return e;
}

TEST(Envelope, EveryFieldComesBack) {
  const auto e = full();
  const auto d = decode_envelope(encode_envelope(e));
  ASSERT_TRUE(d.ok());
  EXPECT_EQ(encode_envelope(*d), encode_envelope(e));
  EXPECT_EQ(d->sender, e.sender);
  ASSERT_EQ(d->recipients.size(), 2u);
  EXPECT_EQ(d->recipients[0].orcpt, e.recipients[0].orcpt);
  EXPECT_EQ(d->recipients[0].original, e.recipients[0].original);
  EXPECT_EQ(d->recipients[0].notify, e.recipients[0].notify);
  EXPECT_EQ(d->recipients[1].address, e.recipients[1].address);
  EXPECT_EQ(d->recipients[1].route, 1);
  EXPECT_EQ(d->routes, e.routes);
  EXPECT_EQ(d->config_epoch, e.config_epoch);
  EXPECT_EQ(d->arrival, e.arrival);
  EXPECT_EQ(d->body.size, e.body.size);
  EXPECT_TRUE(d->body.leading_dots && d->body.eight_bit && d->body.eight_bit_header);
  EXPECT_EQ(d->body.hops, 12);
  EXPECT_EQ(d->ret, Ret::Hdrs);
  EXPECT_EQ(d->envid, e.envid);
  EXPECT_EQ(d->body_type, BodyType::EightBitMime);
  EXPECT_TRUE(d->smtputf8 && d->require_tls);
  EXPECT_EQ(d->client_address, e.client_address);
  EXPECT_EQ(d->client_name, e.client_name);
  EXPECT_EQ(d->client_port, e.client_port);
  EXPECT_EQ(d->helo, e.helo);
  EXPECT_EQ(d->protocol, e.protocol);
  EXPECT_EQ(d->tls_version, e.tls_version);
  EXPECT_EQ(d->tls_cipher, e.tls_cipher);
  EXPECT_EQ(d->auth_user, e.auth_user);
  EXPECT_EQ(d->auth_method, e.auth_method);
  EXPECT_EQ(d->auth_sender, e.auth_sender);
  EXPECT_EQ(d->listener, e.listener);
  EXPECT_EQ(d->origin, e.origin);
  EXPECT_EQ(d->content_filter, e.content_filter);
  EXPECT_EQ(d->tenant, e.tenant);
  EXPECT_EQ(d->campaign, e.campaign);
  EXPECT_EQ(d->source_pool, e.source_pool);
  EXPECT_EQ(d->priority, 255);
  EXPECT_EQ(d->hold_until, e.hold_until);
  EXPECT_EQ(d->dsn_parent, e.dsn_parent);
  EXPECT_EQ(d->restored, e.restored);
  EXPECT_EQ(d->metadata, e.metadata);
}

TEST(Envelope, AnOriginOfWhichNothingIsKnownIsOne) {
  Envelope e;
  e.origin.emplace();
  const auto d = decode_envelope(encode_envelope(e));
  ASSERT_TRUE(d.ok());
  EXPECT_EQ(d->origin, Origin{});
  EXPECT_FALSE(decode_envelope(encode_envelope(e) + std::string{"\x1d\x00", 2}).ok()) << "a second one";
  EXPECT_FALSE(decode_envelope(std::string{"\1\x1d\x03\x07\x01\x02", 6}).ok()) << "neither local nor not";
}

TEST(Envelope, DefaultsTakeOneOctet) {
  EXPECT_EQ(encode_envelope({}), std::string(1, '\1'));
  EXPECT_TRUE(decode_envelope("\1").ok());
}

TEST(Envelope, SkipsTagsOfALaterVersion) {
  auto bytes = encode_envelope(full());
  bytes += std::string{"\x7f\x03xyz\xe7\x07\x01q", 9};
  const auto d = decode_envelope(bytes);
  ASSERT_TRUE(d.ok());
  EXPECT_EQ(encode_envelope(*d), encode_envelope(full()));
}

TEST(Envelope, EveryTruncationInsideAFieldIsRefused) {
  const auto bytes = encode_envelope(full());
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const auto d = decode_envelope(std::string_view{bytes}.substr(0, n));
    if (!d) continue;
    EXPECT_LT(encode_envelope(*d).size(), bytes.size());  // it ended between two fields
  }
}

TEST(Envelope, RefusesARouteThatIsNotThere) {
  auto e = full();
  e.recipients[1].route = 2;
  EXPECT_FALSE(decode_envelope(encode_envelope(e)).ok());
  e.routes.clear();
  e.recipients[1].route = 0;
  EXPECT_TRUE(decode_envelope(encode_envelope(e)).ok());
}

TEST(Envelope, RefusesWhatNoVersionWrote) {
  const auto refused = [](std::string_view fields) { return !decode_envelope("\1" + std::string{fields}).ok(); };
  EXPECT_TRUE(!decode_envelope("").ok());
  EXPECT_TRUE(!decode_envelope("\2").ok());
  EXPECT_TRUE(
      refused(std::string_view{"\x01\x01"
                               "a\x01\x01"
                               "b",
                               6}));                                  // the sender twice
  EXPECT_TRUE(refused(std::string_view{"\x09\x01\x03", 3}));          // RET of 3
  EXPECT_TRUE(refused(std::string_view{"\x16\x03\xff\xff\x7f", 5}));  // a port above 65535
  EXPECT_TRUE(refused(std::string_view{"\x05\x02\x01\x01", 4}));      // a number with an octet too many
  EXPECT_TRUE(refused(std::string_view{"\x05\x00", 2}));              // ... or with none
  EXPECT_TRUE(refused(std::string_view{"\x02\x00", 2}));              // a recipient without an address
  EXPECT_TRUE(
      refused(std::string_view{"\x02\x06\x01\x01"
                               "a\x04\x01\x10",
                               8}));  // an unknown NOTIFY bit
}

}  // namespace
}  // namespace mansio
