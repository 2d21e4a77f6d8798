#include "kernel/host/late_start.hpp"

namespace mansio::host {
namespace {

bool operators_mistake(const Error &error) {
  return error.status == Status::BadConfig || error.status == Status::Unsupported;
}

// The instance, or what stands for it: a Late of that kind, made of a LateStart and `more`.
template <class Late, class Kind, class... More>
Result<std::unique_ptr<Kind>> now_or_later(const Surroundings &around, typename LateStart<Kind>::Make make,
                                           More &&...more) {
  auto made = make();
  if (made || operators_mistake(made.error())) return made;
  return std::unique_ptr<Kind>{std::make_unique<Late>(
      LateStart<Kind>{around.clock, around.log, std::move(make), made.error()}, std::forward<More>(more)...)};
}

class LateFilter final : public FilterInstance {
 public:
  explicit LateFilter(LateStart<FilterInstance> late) : late_(std::move(late)) {}

  std::uint64_t stages() const override { return late_.there() ? late_.there()->stages() : ~std::uint64_t{0}; }
  std::uint32_t incarnation() const override { return late_.there() ? late_.there()->incarnation() : 0; }
  std::uint64_t start(wire::StageCall call, std::shared_ptr<const FilterContent> content, Done done,
                      std::function<void()> progressed) override {
    if (auto *filter = late_.get())
      return filter->start(std::move(call), std::move(content), std::move(done), std::move(progressed));
    done(stage_failure(late_.why()));
    return 0;
  }
  void cancel(std::uint64_t number) override {
    if (late_.there()) late_.there()->cancel(number);
  }
  void abort(const std::string &session, MessageId id) override {
    if (late_.there()) late_.there()->abort(session, id);
  }
  std::size_t in_flight() const override { return late_.there() ? late_.there()->in_flight() : 0; }
  std::uint64_t misbehaviours() const override { return late_.there() ? late_.there()->misbehaviours() : 0; }
  void stats(const StatsSink &add) const override {
    if (late_.there()) late_.there()->stats(add);
  }

 private:
  LateStart<FilterInstance> late_;
};

class LateAuth final : public AuthInstance {
 public:
  explicit LateAuth(LateStart<AuthInstance> late) : late_(std::move(late)) {}

  // Where nothing is offered nobody asks for a step: this is what tries again.
  std::string mechanisms(bool clear) const override {
    const auto *auth = late_.get();
    return auth ? auth->mechanisms(clear) : std::string{};
  }
  std::uint64_t exchange() override { return late_.there() ? late_.there()->exchange() : 0; }
  void start(wire::AuthCall call, Done done) override {
    if (auto *auth = late_.get()) return auth->start(std::move(call), std::move(done));
    done(auth_failure(late_.why()));
  }
  void forget(std::uint64_t exchange) override {
    if (late_.there()) late_.there()->forget(exchange);
  }
  std::size_t in_flight() const override { return late_.there() ? late_.there()->in_flight() : 0; }
  std::uint64_t misbehaviours() const override { return late_.there() ? late_.there()->misbehaviours() : 0; }
  void stats(const StatsSink &add) const override {
    if (late_.there()) late_.there()->stats(add);
  }

 private:
  mutable LateStart<AuthInstance> late_;
};

class LateTransport final : public TransportInstance {
 public:
  LateTransport(LateStart<TransportInstance> late, Events events)
      : late_(std::move(late)), events_(std::move(events)) {}

  void start(const wire::Lease &lease, MessageSource message) override {
    if (auto *transport = late_.get()) return transport->start(lease, std::move(message));
    events_.complete(lease.lease, delivery_failure(wire::DeliveryStatus::Deferred, late_.why()), false, {});
  }
  void cancel(std::uint64_t lease) override {
    if (late_.there()) late_.there()->cancel(lease);
  }
  std::size_t in_flight() const override { return late_.there() ? late_.there()->in_flight() : 0; }
  std::uint64_t misbehaviours() const override { return late_.there() ? late_.there()->misbehaviours() : 0; }
  void stats(const StatsSink &add) const override {
    if (late_.there()) late_.there()->stats(add);
  }

 private:
  LateStart<TransportInstance> late_;
  Events events_;
};

}  // namespace

Result<std::unique_ptr<FilterInstance>> start_filter(const Surroundings &around, const mansio_plugin &plugin,
                                                     InstanceOptions options, const char *kind) {
  return now_or_later<LateFilter, FilterInstance>(around, [around, &plugin, options = std::move(options), kind] {
    return FilterInstance::create(around, plugin, options, kind);
  });
}

Result<std::unique_ptr<AuthInstance>> start_auth(const Surroundings &around, const mansio_plugin &plugin,
                                                 InstanceOptions options) {
  return now_or_later<LateAuth, AuthInstance>(around, [around, &plugin, options = std::move(options)] {
    return AuthInstance::create(around, plugin, options);
  });
}

Result<std::unique_ptr<TransportInstance>> start_transport(const Surroundings &around, const mansio_plugin &plugin,
                                                           InstanceOptions options, TransportInstance::Events events) {
  return now_or_later<LateTransport, TransportInstance>(
      around,
      [around, &plugin, options = std::move(options), events] {
        return TransportInstance::create(around, plugin, options, events);
      },
      events);
}

}  // namespace mansio::host
