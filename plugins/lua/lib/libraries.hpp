// The libraries of the table `mansio`, each in a file of its own: functions that fill the table on top.
#pragma once

#include <string>
#include <string_view>

#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

class State;

void add_re(lua_State *L);  // Perl's regular expressions, within limits
void add_json(lua_State *L);
void add_base64(lua_State *L);
void add_hash(lua_State *L);  // hashes and HMAC, and hexadecimal
void add_time(lua_State *L);
void add_ip(lua_State *L);               // addresses and sets of networks
void add_idna(lua_State *L);             // forms of domain names
void add_suffix(lua_State *L);           // the public suffix list
void add_counter(lua_State *L);          // of the process
void add_window(lua_State *L);           // mansio.window()
void add_rate(lua_State *L);             // mansio.rate(), of the process
void add_spawn(lua_State *L);            // mansio.spawn()
void add_config(lua_State *L);           // mansio.config and mansio.option()
void add_state_directory(lua_State *L);  // mansio.state_directory()
void add_log(lua_State *L);
void add_metric(lua_State *L);
void keep_modules(lua_State *L);  // of require(), where `package` is open
void add_patterns(lua_State *L);  // Lua's own patterns: into `string`

// What is wrong with the settings of a state whose script has run: one that it does not declare. "" when nothing is.
std::string stray_setting(const State &state);

// A domain name among the arguments, as anybody may have written it; what is done with it is charged for.
std::string_view domain_at(lua_State *L, int index);

}  // namespace mansio::lua
