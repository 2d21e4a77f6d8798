// The fields of tables that functions take: options, and what mansio.provide() is given.
#pragma once

#include "plugins/lua/declare/declared.hpp"

namespace mansio::lua {

// Of mansio.on(), and of filters for all their events.
inline constexpr DeclaredField kOnDeclared[] = {
    {"timeout?", "mansio.Time", "How long the handler may take, its waits included."},
    {"on_error?", "mansio.OnError", "What an error in it means; \"fail\": on_failure of the configuration decides."},
};

inline constexpr DeclaredField kResultDeclared[] = {
    {"retry?", "mansio.Time", "Of defer: the server asked not to be tried before."},
    {"nexthop_failed?", "boolean",
     "Of defer: no server of the next hop could be used, so the queue slows down towards it."},
    {"relay?", "string", "Who said so, for the log."},
};

inline constexpr DeclaredField kPermitsDeclared[] = {
    {"ttl?", "mansio.Time", "How long they may be used; a minute unless given."},
    {"retry?", "mansio.Time", "Do not ask again before."},
};

inline constexpr DeclaredField kRouteDeclared[] = {
    {"transport?", "string", "The one that it has unless given."},
    {"nexthop?", "string", "With a transport, the recipient's domain unless given."},
    {"source_pool?", "string"},
};

// Of mansio.submit().
inline constexpr DeclaredField kSubmitDeclared[] = {
    {"sender?", "string", "Who hears what becomes of it; nobody unless given."},
    {"recipients", "string|string[]"},
    {"message", "string", "All of it, its header section first; lines may end in any way."},
    {"meta?", "table<string, string|number>",
     "Notes that go with it; tenant, campaign, source_pool and priority are acted upon."},
};

inline constexpr DeclaredField kConnectDeclared[] = {
    {"timeout?", "mansio.Time", "Of the connection, and of each read and write; \"30s\" unless given."},
    {"tls?", "boolean", "With TLS. The certificate is always checked."},
    {"tls_name?", "string", "The name that the certificate has to have; that of the address unless given."},
    {"ca_file?", "string", "Whom to trust; the system's authorities unless given."},
};

inline constexpr DeclaredField kHttpDeclared[] = {
    {"timeout?", "mansio.Time", "Of all of it; \"30s\" unless given."},
    {"limit?", "integer", "Octets that the body of the response may have; 1 MiB unless given."},
    {"headers?", "table<string, string>"},
    {"ca_file?", "string", "Whom to trust; the system's authorities unless given."},
};

inline constexpr DeclaredField kRedisDeclared[] = {
    {"timeout?", "mansio.Time", "Of a command, the connection included; \"4s\" unless given."},
    {"tls?", "boolean"},
    {"tls_name?", "string"},
    {"ca_file?", "string"},
    {"user?", "string"},
    {"password?", "string"},
    {"database?", "integer"},
};

inline constexpr DeclaredField kSqliteDeclared[] = {
    {"timeout?", "mansio.Time", "Of a statement; \"10s\" unless given."},
    {"write?", "boolean", "Whether it may be written to, and is made when it is not there."},
};

inline constexpr DeclaredField kRateDeclared[] = {
    {"burst?", "integer",
     "How many may follow each other at once after a quiet time; the number of the rate unless given."},
};

inline constexpr DeclaredField kMemoizeDeclared[] = {
    {"ttl?", "mansio.Time", "How long a result is remembered; a minute unless given."},
    {"size?", "integer", "How many are; 10000 unless given."},
};

// Of mansio.option().
inline constexpr DeclaredField kOptionDeclared[] = {
    {"type?", "\"string\"|\"integer\"|\"number\"|\"boolean\"|\"time\"|\"list\"",
     "\"string\" unless given. A time is seconds; a list is what is set any number of times."},
    {"default?", "string|number|boolean|string[]",
     "What it is where the configuration does not set it; false unless given."},
    {"required?", "boolean", "Without it the script does not load."},
    {"description?", "string", "For the operator who has not set it."},
};

// Behind the answer of a table.
inline constexpr DeclaredField kAnswerDeclared[] = {
    {"ttl?", "mansio.Time", "How long it may be used again, instead of cache_ttl of the table; 0 means not at all."},
};

inline constexpr DeclaredField kLookupObjectDeclared[] = {
    {"lookup", "fun(key: string, table: string): (string|string[]|mansio.verdict|nil), mansio.AnswerOptions?"},
};

inline constexpr DeclaredField kTransportObjectDeclared[] = {
    {"deliver", "fun(delivery: mansio.delivery): mansio.verdict?"},
};

inline constexpr DeclaredField kAuthObjectDeclared[] = {
    {"check?", "fun(user: string, password: string, step: mansio.auth_step): boolean|mansio.verdict|nil",
     "For PLAIN, LOGIN."},
    {"step?", "fun(step: mansio.auth_step): mansio.verdict", "For mechanisms of its own."},
    {"mechanisms?", "string[]", "Needed with step; {\"PLAIN\", \"LOGIN\"} with check."},
};

inline constexpr DeclaredField kRateObjectDeclared[] = {
    {"lease", "fun(request: mansio.lease_request): mansio.verdict", "mansio.permits(n), or mansio.defer(why)."},
    {"give_back?", "fun(limit: string, key: string, unused: integer)"},
};

}  // namespace mansio::lua
