// The fields of objects that handlers get and functions return.
#pragma once

#include "plugins/lua/declare/declared.hpp"

namespace mansio::lua {

inline constexpr DeclaredField kSessionDeclared[] = {
    {"id", "string"},
    {"meta", "table<string, string?>", "Notes that last as long as the session; every plugin sees them."},
    {"client_address", "string?", "", "client_address"},
    {"client_name", "string?", "", "client_name"},
    {"client_port", "integer?", "", "client_port"},
    {"trusted", "boolean", "The client is in mynetworks.", "client_trusted"},
    {"helo_name", "string?", "", "helo_name"},
    {"protocol", "string?", "", "protocol"},
    {"listener", "string?", "", "listener"},
    {"myhostname", "string?", "", "myhostname"},
    {"tls_version", "string?", "", "tls_version"},
    {"tls_cipher", "string?", "", "tls_cipher"},
    {"auth_user", "string?", "", "auth_user"},
    {"tenant", "string?", "Of the listener.", "tenant"},
    {"stress", "boolean", "The listener has hardly any room for clients.", "stress"},
};

inline constexpr DeclaredField kTransactionDeclared[] = {
    {"session", "mansio.session"},
    {"meta", "table<string, string?>", "Notes that go with the message into the queue, where transports see them."},
    {"queue_id", "string"},
    {"sender", "mansio.address"},
    {"recipient_count", "integer"},
};

inline constexpr DeclaredField kAddressDeclared[] = {
    {"address", "string", "As the client gave it; \"\" for the null sender."},
    {"localpart", "string"},
    {"domain", "string", "In lower case."},
    {"parameters", "string[]", "ESMTP parameters, such as \"SIZE=1000\"."},
};

inline constexpr DeclaredField kMessageDeclared[] = {
    {"size", "integer"},
    {"recipients", "string[]?", "Each once, as RCPT or another filter named it; a delivery has its own."},
};

inline constexpr DeclaredField kMessageVersionDeclared[] = {
    {"number", "integer", "From 1, in the order in which they were made."},
};

inline constexpr DeclaredField kPartDeclared[] = {
    {"type", "string", "In lower case: \"text/plain\"."},
    {"parameters", "table<string, string?>", "Of Content-Type, by names in lower case."},
    {"disposition", "string?", "In lower case: \"attachment\", \"inline\"."},
    {"disposition_parameters", "table<string, string?>"},
    {"filename", "string?", "In UTF-8, decoded by RFC 2231 and 2047, without control characters."},
    {"encoding", "string", "Content-Transfer-Encoding in lower case; \"7bit\" where there is none."},
    {"leaf", "boolean", "It has a body. Of others the parts come next: multiparts and embedded messages."},
    {"depth", "integer", "1: the message itself."},
    {"number", "integer", "From 1, in the order of the message."},
};

inline constexpr DeclaredField kDeliveryDeclared[] = {
    {"sender", "mansio.address"},
    {"recipients", "mansio.recipient[]"},
    {"nexthop", "string?", "Of the route."},
    {"queue_id", "string"},
    {"meta", "table<string, string?>", "What policies and filters noted about the message."},
    {"message", "mansio.message", "To be read."},
    {"attempts", "integer", "Made for these recipients before."},
    {"arrival", "number", "Seconds since 1970."},
    {"envid", "string?"},
    {"ret", "\"full\"|\"hdrs\"|nil"},
    {"smtputf8", "boolean"},
    {"eight_bit", "boolean", "Some octet is above 127."},
    {"eight_bit_header", "boolean", "The same, in the header section."},
    {"body_8bitmime", "boolean", "The client declared BODY=8BITMIME."},
    {"require_tls", "boolean", "Must not travel in the clear (RFC 8689)."},
    {"possible_duplicate", "boolean", "It may have been delivered before."},
    {"source_pool", "string?"},
    {"tls_policy", "string?", "Of the message's metadata, in the transport's own words."},
    {"client_address", "string?"},
    {"client_name", "string?"},
    {"helo_name", "string?"},
    {"auth_user", "string?", "As whom the client has authenticated."},
    {"auth_method", "string?", "By which mechanism."},
    {"auth_sender", "string?", "The original submitter that it named (AUTH= in MAIL)."},
    {"origin", "mansio.origin", "Who brought the message into the mail system."},
};

// The client, unless a content filter or a server before us has told of another (XFORWARD).
inline constexpr DeclaredField kOriginDeclared[] = {
    {"source", "\"local\"|\"remote\"|nil"},
    {"address", "string?"},
    {"port", "integer?"},
    {"name", "string?"},
    {"helo_name", "string?"},
    {"protocol", "string?"},
    {"ident", "string?", "The message's id there."},
};

inline constexpr DeclaredField kRecipientDeclared[] = {
    {"address", "string"},
    {"localpart", "string"},
    {"domain", "string", "In lower case."},
    {"original", "string", "As the client gave it."},
    {"orcpt", "string?", "\"rfc822;user@example.com\""},
    {"notify", "(\"never\"|\"success\"|\"failure\"|\"delay\")[]?",
     "Of which ends the sender wants to hear (RFC 3461)."},
};

inline constexpr DeclaredField kAuthStepDeclared[] = {
    {"mechanism", "string", "In capitals."},
    {"response", "string?", "What the client sent, decoded; a first step may have none."},
    {"number", "integer", "From 1."},
    {"client_address", "string?"},
    {"helo_name", "string?"},
    {"tls_version", "string?", "None in clear."},
    {"meta", "table<string, string?>", "Notes for the next steps of this exchange."},
};

inline constexpr DeclaredField kLeaseDeclared[] = {
    {"limit", "string", "Such as \"destination_rate_limit\"."},
    {"key", "string", "Whose: \"smtp\", \"smtp:example.com\", a tenant, campaign, sender or source pool."},
    {"want", "integer", "What would go within a second or so."},
    {"per_second", "number", "As configured."},
    {"burst", "integer", "As configured."},
};

inline constexpr DeclaredField kMessageEventDeclared[] = {
    {"name", "mansio.MessageEvent"},
    {"time", "number", "Seconds since 1970."},
    {"queue_id", "string?"},
    {"recipient", "mansio.address?", "Not there where it concerns the whole message."},
    {"fields", "table<string, string?>", "Named as in the log, such as dsn, status, relay and text."},
};

// For events of the queue; retry_after is there at "retry", and kind and to at "bounce".
inline constexpr DeclaredField kQueuedDeclared[] = {
    {"queue_id", "string"},
    {"sender", "mansio.address"},
    {"recipients", "mansio.mail_recipient[]"},
    {"meta", "table<string, string?>", "What policies and filters noted about the message; to be read."},
    {"attempts", "integer?", "Made so far; not at \"bounce\".", "attempts"},
    {"arrival", "integer", "Seconds since 1970.", "arrival"},
    {"size", "integer", "", "size"},
    {"transport", "string?", "Not at \"bounce\", as nexthop.", "transport"},
    {"nexthop", "string?", "None where it is the recipient's domain.", "nexthop"},
    {"source_pool", "string?", "", "source_pool"},
    {"client_address", "string?", "None of what was made here, such as a notification.", "client_address"},
    {"client_name", "string?", "", "client_name"},
    {"helo_name", "string?", "", "helo_name"},
    {"protocol", "string?", "", "protocol"},
    {"listener", "string?", "", "listener"},
    {"auth_user", "string?", "", "auth_user"},
    {"tenant", "string?", "", "tenant"},
    {"campaign", "string?", "", "campaign"},
    {"priority", "integer", "", "priority"},
    {"myhostname", "string", "", "myhostname"},
    {"retry_after", "integer?", "At \"retry\": seconds that it would wait.", "retry_after"},
    {"kind", "\"failure\"|\"delay\"|\"success\"|\"postmaster_copy\"|\"postmaster_delay\"|nil",
     "At \"bounce\": what is told.", "kind"},
    {"to", "mansio.address?", "At \"bounce\": who is told."},
};

inline constexpr DeclaredField kQueuedRecipientDeclared[] = {
    {"address", "string"},
    {"localpart", "string"},
    {"domain", "string", "In lower case."},
    {"code", "integer?", "At \"retry\" and \"bounce\": of the server's last reply."},
    {"status", "string?", "The same: \"4.2.0\"."},
    {"text", "string?", "The same."},
};

// Of message:headers() and part:headers().
inline constexpr DeclaredField kHeaderFieldDeclared[] = {
    {"name", "string"},
    {"value", "string"},
};

// Of mansio.dns().
inline constexpr DeclaredField kRecordDeclared[] = {
    {"data", "string"},
    {"preference", "integer"},
};

// Of mansio.http.
inline constexpr DeclaredField kResponseDeclared[] = {
    {"status", "integer"},
    {"body", "string"},
    {"headers", "table<string, string>", "By their names in lower case."},
};

}  // namespace mansio::lua
