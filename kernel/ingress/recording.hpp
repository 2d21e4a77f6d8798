// Recording: one session as filters and policies saw it, as lines of text (docs/recording-format.md): each event with
// its arguments and the facts of the session, the content, and what everyone said to it. What the client says in AUTH
// is shown to nobody, and so it is not here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/ingress/filters.hpp"
#include "kernel/ingress/recorder.hpp"
#include "kernel/ingress/reply.hpp"

namespace mansio::ingress {

class FilteredMessage;

class Recording {
 public:
  // All outlive it. Nothing is written before the first event.
  Recording(Recorder &recorder, const Clock &clock, const FilterChain &chain, const std::string &session)
      : recorder_(recorder), clock_(clock), chain_(chain), session_(session) {}

  // An event; what is said to it follows, then end(). `name`: "rcpt", or "message" for all stages of the content.
  void event(std::string_view name, const wire::StageCall &facts);
  // `by`: who says it; `took`: ns. In the content, what was said to one of its stages.
  void said(const std::string &by, std::uint32_t stage, const wire::StageResult &result, Nanos took);
  void end(const std::optional<Reply> &reply);

  // The message as whoever comes next will see it, unless it is the one that was there last.
  void content(const FilteredMessage &message, const wire::StageCall &facts);
  // Nobody asked for it, and there is no room for a copy.
  void content_left_out(std::uint64_t size, const wire::StageCall &facts);

  Nanos now() const { return clock_.mono(); }

 private:
  bool begin();
  void head(const wire::StageCall &facts);
  void write();

  Recorder &recorder_;
  const Clock &clock_;
  const FilterChain &chain_;
  const std::string &session_;
  std::shared_ptr<Recorder::File> file_;  // null: not begun, or over
  bool begun_ = false, any_said_ = false;
  std::string line_;
  wire::NamedValues facts_;                           // of the last line that has them
  std::weak_ptr<const host::FilterContent> content_;  // that was written last
};

}  // namespace mansio::ingress
