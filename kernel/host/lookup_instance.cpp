// A lookup plugin in this process.
#include <fmt/format.h>

#include "kernel/host/guarded.hpp"
#include "kernel/host/lookup.hpp"

namespace mansio::host {
namespace {

class LookupInProcess final : public LookupInstance {
 public:
  LookupInProcess(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options)
      : plugin_(around, plugin, std::move(options), {"lookup", "on_failure answers", "the lookup has too much to do"}) {
  }

  Result<void> begin() {
    const auto table = plugin_.begin(kLookupKind);
    if (!table) return table.error();
    table_ = static_cast<const mansio_lookup *>(*table);
    if (!table_->start)
      return Error{Status::BadConfig, fmt::format("lookup {}: the plugin has no start()", plugin_->name())};
    plugin_->on_cancel(table_->cancel);
    return {};
  }

  void lookup(std::string_view key, Nanos time_limit, Done done) override {
    const auto opened = plugin_.open(time_limit, [this, done](Answer &&answer) {
      const auto said = table_answer(std::move(answer));
      plugin_.judge(said.failed, said.text);
      done(said);
    });
    if (opened.why_not) return done(lookup_failure(opened.why_not));
    if (plugin_->blocking())
      plugin_->run_blocking(opened.op, [this, opened, key = std::string{key}] { start(opened, key); });
    else
      plugin_->run(opened.op, [&] { start(opened, key); });
  }
  std::size_t in_flight() const override { return plugin_->in_flight(); }
  std::uint64_t misbehaviours() const override { return plugin_->misbehaviours(); }
  void stats(const StatsSink &add) const override { plugin_.stats(add); }

 private:
  void start(const Guarded::Opened &opened, std::string_view key) const {
    mansio_lookup_request request{};
    request.size = sizeof request;
    request.table = str(plugin_->name());
    request.key = str(key);
    request.deadline = opened.deadline;
    table_->start(plugin_->self(), mansio_op{opened.op}, &request);
  }

  const mansio_lookup *table_ = nullptr;
  Guarded plugin_;  // last: it goes first
};

}  // namespace

io::TableAnswer lookup_failure(std::string why) {
  io::TableAnswer answer;
  answer.failed = true;
  answer.text = std::move(why);
  return answer;
}

Result<std::unique_ptr<LookupInstance>> LookupInstance::create(const Surroundings &around, const mansio_plugin &plugin,
                                                               InstanceOptions options) {
  auto instance = std::make_unique<LookupInProcess>(around, plugin, std::move(options));
  if (auto begun = instance->begin(); !begun) return begun.error();
  return std::unique_ptr<LookupInstance>{std::move(instance)};
}

}  // namespace mansio::host
