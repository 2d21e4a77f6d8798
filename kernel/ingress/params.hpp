// What the ESMTP parameters of MAIL and RCPT mean: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET, ENVID,
// NOTIFY and ORCPT (RFC 3461), MT-PRIORITY (RFC 6710), AUTH (RFC 4954). A parameter that is unknown, not offered, given
// twice or malformed is a refusal.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/ingress/command.hpp"
#include "kernel/ingress/reply.hpp"
#include "kernel/mail/envelope.hpp"

namespace mansio::ingress {

struct MailParameters {
  std::uint64_t size = 0;  // 0: not given
  BodyType body = BodyType::SevenBit;
  bool smtputf8 = false;
  Ret ret = Ret::NotGiven;
  std::string envid;
  std::optional<int> priority;  // -9 to 9
  std::string auth;             // xtext decoded; "" for "<>", or not given
};

struct RcptParameters {
  std::uint8_t notify = 0;
  std::string orcpt;
};

// Is this EHLO keyword on offer?
using Offers = std::function<bool(std::string_view keyword)>;

std::optional<Reply> read_parameters(const Command &command, const Offers &offers, MailParameters &out);
std::optional<Reply> read_parameters(const Command &command, const Offers &offers, bool smtputf8, RcptParameters &out);

}  // namespace mansio::ingress
