// What became of a message, a line of the log, or that a message comes to nothing: which handlers of a script are told.
// Nobody hears what they say.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mansio/event.hpp"
#include "plugins/lua/work.hpp"

namespace mansio::lua {

struct ToldEvent {         // plugin::Event, owned
  std::uint32_t kind = 0;  // MANSIO_EVENT_*
  std::string name, queue_id, recipient;
  std::int64_t time = 0;  // wall ns
  std::vector<std::pair<std::string, std::string>> fields;

  explicit ToldEvent(const plugin::Event &event);
};

class EventWork final : public Work {
 public:
  explicit EventWork(const plugin::Event &event) : event_(event) {}

  int push(lua_State *L, Call &call) override;
  plugin::Reply result(lua_State *L, Call &call) override;  // nothing
  std::int64_t deadline() const override { return 0; }
  std::string_view queue_id() const override { return event_.queue_id; }

  const ToldEvent &event() const { return event_; }

 private:
  const ToldEvent event_;
};

// A message comes to nothing.
class AbortWork final : public Work {
 public:
  AbortWork(std::string_view session, std::string_view queue_id) : session_(session), queue_id_(queue_id) {}

  int push(lua_State *L, Call &call) override;
  plugin::Reply result(lua_State *L, Call &call) override;  // nothing
  std::int64_t deadline() const override { return 0; }
  std::string_view queue_id() const override { return queue_id_; }

 private:
  const std::string session_, queue_id_;
};

}  // namespace mansio::lua
