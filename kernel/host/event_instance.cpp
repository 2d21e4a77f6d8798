#include <fmt/format.h>

#include <string>
#include <utility>

#include "kernel/host/event.hpp"

namespace mansio::host {
namespace {

static_assert(static_cast<int>(wire::EventKind::Inserted) == MANSIO_EVENT_INSERTED &&
                  static_cast<int>(wire::EventKind::Routed) == MANSIO_EVENT_ROUTED &&
                  static_cast<int>(wire::EventKind::Delivering) == MANSIO_EVENT_DELIVERING &&
                  static_cast<int>(wire::EventKind::Delivered) == MANSIO_EVENT_DELIVERED &&
                  static_cast<int>(wire::EventKind::Deferred) == MANSIO_EVENT_DEFERRED &&
                  static_cast<int>(wire::EventKind::Bounced) == MANSIO_EVENT_BOUNCED &&
                  static_cast<int>(wire::EventKind::Removed) == MANSIO_EVENT_REMOVED &&
                  static_cast<int>(wire::EventKind::Log) == MANSIO_EVENT_LOG,
              "the two lists of events agree");

constexpr const char *kLabel = "event_sink";  // "event" is what log lines call their own

}  // namespace

EventInstance::EventInstance(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options)
    : clock_(around.clock),
      instance_(around, plugin, std::move(options), kLabel, {nullptr, nullptr, nullptr, nullptr}) {}

Result<void> EventInstance::begin() {
  const auto table = instance_.begin(kEventKind);
  if (!table) return table.error();
  table_ = static_cast<const mansio_event_sink *>(*table);
  if (!table_->events || !table_->notify)
    return Error{Status::BadConfig, fmt::format("{} {}: the plugin has no {}()", kLabel, instance_.name(),
                                                table_->events ? "notify" : "events")};
  instance_.run(0, [this] { wanted_ = table_->events(instance_.self()) & wire::kAllEvents; });
  if (wanted_ == 0)
    return Error{Status::BadConfig,
                 fmt::format("{} {}: the plugin wants to hear of no event that is told", kLabel, instance_.name())};
  return {};
}

void EventInstance::notify(const wire::Event &e) {
  if ((wanted_ & wire::bit_of(e.kind)) == 0) return;
  const auto queue_id = e.id ? to_string(e.id) : std::string{};
  fields_.clear();
  for (const auto &[name, value] : e.details) fields_.push_back({str(name), str(value)});
  mansio_event event{};
  event.size = sizeof event;
  event.event = static_cast<std::uint32_t>(e.kind);
  event.time = e.time;
  event.queue_id = str(queue_id);
  event.recipient = str(e.recipient);
  event.fields = fields_.data();
  event.n_fields = fields_.size();
  auto &counted = instance_.metrics().host;
  ++counted.operations;
  const auto begun = clock_.mono();
  const auto before = counted.misbehaviours;
  instance_.run(0, [&] { table_->notify(instance_.self(), &event); });
  counted.busy += clock_.mono() - begun;
  if (counted.misbehaviours != before) ++counted.failed;  // it threw
}

Result<std::unique_ptr<EventInstance>> EventInstance::create(const Surroundings &around, const mansio_plugin &plugin,
                                                             InstanceOptions options) {
  if (plugin.threading == MANSIO_BLOCKING)
    return Error{Status::BadConfig, fmt::format("{} {}: {} asks for threads that may block; an event plugin is told on "
                                                "the loop and has threads of its own if it needs them",
                                                kLabel, options.name, plugin.name)};
  std::unique_ptr<EventInstance> instance{new EventInstance{around, plugin, std::move(options)}};
  if (auto begun = instance->begin(); !begun) return begun.error();
  return Result<std::unique_ptr<EventInstance>>{std::move(instance)};
}

}  // namespace mansio::host
