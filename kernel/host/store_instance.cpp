#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernel/host/store.hpp"

namespace mansio::host {

StoreInstance::StoreInstance(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options)
    : clock_(around.clock),
      no_message_(std::make_shared<const MessageSource>()),
      instance_(around, plugin, std::move(options), "store", {nullptr, nullptr, plugin_failure, nullptr}) {}

Result<void> StoreInstance::begin() {
  const auto table = instance_.begin(kStoreKind);
  if (!table) return table.error();
  table_ = static_cast<const mansio_store *>(*table);
  const char *missing = !table_->commit    ? "commit"
                        : !table_->outcome ? "outcome"
                        : !table_->read    ? "read"
                        : !table_->scan    ? "scan"
                                           : nullptr;
  if (missing)
    return Error{Status::BadConfig, fmt::format("store {}: the plugin has no {}()", instance_.name(), missing)};
  instance_.on_cancel(table_->cancel);
  return {};
}

Result<std::unique_ptr<StoreInstance>> StoreInstance::create(const Surroundings &around, const mansio_plugin &plugin,
                                                             InstanceOptions options) {
  std::unique_ptr<StoreInstance> instance{new StoreInstance{around, plugin, std::move(options)}};
  if (auto begun = instance->begin(); !begun) return begun.error();
  return Result<std::unique_ptr<StoreInstance>>{std::move(instance)};
}

void StoreInstance::start(std::shared_ptr<const MessageSource> message, Nanos time_limit, Done done,
                          std::function<void(mansio_op op, Nanos deadline)> call) {
  const auto deadline = clock_.mono() + time_limit;
  Operation operation;
  operation.done = done;
  const auto op = instance_.open(std::move(operation), std::move(message), deadline);
  if (op == 0) return done(plugin_failure("the plugin has too much to do"));
  if (instance_.blocking())
    instance_.run_blocking(op, [op, deadline, call = std::move(call)] { call(mansio_op{op}, deadline); });
  else
    instance_.run(op, [&] { call(mansio_op{op}, deadline); });
}

void StoreInstance::commit(const StoreKey &key, MessageSource message, std::uint64_t length, Nanos time_limit,
                           Done done) {
  auto call = [this, id = to_string(key), length](mansio_op op, Nanos deadline) {
    mansio_store_commit c{};
    c.size = sizeof c;
    c.id = str(id);
    c.length = length;
    c.deadline = deadline;
    table_->commit(instance_.self(), op, &c);
  };
  start(std::make_shared<const MessageSource>(std::move(message)), time_limit, std::move(done), std::move(call));
}

void StoreInstance::outcome(const wire::StoreOutcome &outcome, Done done) {
  auto call = [this, id = to_string(outcome.key), last = outcome.last, sequence = outcome.sequence,
               record = outcome.record](mansio_op op, Nanos deadline) {
    mansio_store_outcome o{};
    o.size = sizeof o;
    o.last = last ? 1 : 0;
    o.id = str(id);
    o.sequence = sequence;
    o.record = str(record);
    o.deadline = deadline;
    table_->outcome(instance_.self(), op, &o);
  };
  start(no_message_, outcome.time_limit, std::move(done), std::move(call));
}

void StoreInstance::read(const StoreKey &key, std::uint64_t offset, std::uint64_t length, Nanos time_limit, Done done) {
  length = std::min(length, kStorePiece);
  auto call = [this, id = to_string(key), offset, length](mansio_op op, Nanos deadline) {
    mansio_store_read r{};
    r.size = sizeof r;
    r.id = str(id);
    r.offset = offset;
    r.length = length;
    r.deadline = deadline;
    table_->read(instance_.self(), op, &r);
  };
  auto judged = [length, done = std::move(done)](Answer &&answer) {
    if (answer.status == MANSIO_OK) {
      if (answer.values.empty() || answer.values[0].size() > length)
        return done(plugin_failure("the plugin gave what was not asked for"));
      answer.values.resize(2);
    }
    done(std::move(answer));
  };
  start(no_message_, time_limit, std::move(judged), std::move(call));
}

void StoreInstance::scan(const std::string &cursor, std::uint32_t most, Nanos time_limit, Done done) {
  most = std::clamp<std::uint32_t>(most, 1, kStoreMostKeys);
  auto call = [this, cursor, most](mansio_op op, Nanos deadline) {
    mansio_store_scan s{};
    s.size = sizeof s;
    s.max = most;
    s.cursor = str(cursor);
    s.deadline = deadline;
    table_->scan(instance_.self(), op, &s);
  };
  auto judged = [most, cursor, done = std::move(done)](Answer &&answer) {
    if (answer.status == MANSIO_OK) {
      constexpr std::size_t kLongestCursor = 1024;
      const auto &values = answer.values;
      if (values.empty() || values.size() > most + std::size_t{1} || values[0].size() > kLongestCursor)
        return done(plugin_failure("the plugin gave what was not asked for"));
      if (!values[0].empty() && values[0] == cursor)
        return done(plugin_failure("the plugin does not get on from one page to the next"));
    }
    done(std::move(answer));
  };
  start(no_message_, time_limit, std::move(judged), std::move(call));
}

}  // namespace mansio::host
