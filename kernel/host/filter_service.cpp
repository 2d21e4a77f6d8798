#include "kernel/host/filter_service.hpp"

#include <sys/stat.h>

#include <vector>

#include "kernel/host/large.hpp"

namespace mansio::host {

void FilterService::greet(io::Channel &client) { client.send(wire::StagesWanted{instance_->stages()}); }

bool FilterService::receive(const std::shared_ptr<io::Channel> &from, io::Message &m) {
  const auto message = received(m);
  if (!message) return true;  // the caller's deadline tells it
  switch (message->type) {
    case wire::StageCall::kType:
      start(from, m, message->payload());
      return true;
    case wire::StageCancel::kType:
      if (const auto cancel = decode<wire::StageCancel>(message->payload()))
        if (const auto i = calls_.find({from.get(), cancel->number}); i != calls_.end()) instance_->cancel(i->second);
      return true;
    case wire::MessageAbort::kType:
      if (const auto abort = decode<wire::MessageAbort>(message->payload()))
        instance_->abort(abort->session, abort->id);
      return true;
    default:
      return false;
  }
}

void FilterService::start(const std::shared_ptr<io::Channel> &from, io::Message &m, std::string_view payload) {
  auto call = decode<wire::StageCall>(payload);
  if (!call) return;
  std::shared_ptr<FilterContent> content;
  if (!m.fds.empty() && m.fds.front()) {
    struct stat st {};
    ::fstat(m.fds.front().get(), &st);
    content = std::make_shared<FilterContent>();
    content->file = {std::move(m.fds.front()), static_cast<std::uint64_t>(st.st_size)};
  }
  const auto number = call->number;
  const std::weak_ptr weak{from};
  if (call->length > 0 && (!content || content->file.size() != call->length)) {
    auto lost = stage_failure("the message's descriptor was lost");
    lost.number = number;
    from->send(lost);
    return;
  }
  auto over = std::make_shared<bool>(false);
  auto done = [this, weak, number, which = from.get(), over](wire::StageResult &&result) {
    *over = true;
    calls_.erase({which, number});
    const auto to = weak.lock();
    if (!to) return;
    result.number = number;
    if (send_any(*to, result)) return;
    auto failed = stage_failure("its answer could not be sent");
    failed.number = number;
    to->send(failed);
  };
  auto progressed = [weak, number] {
    if (const auto to = weak.lock()) to->send(wire::StageProgress{number});
  };
  const auto op = instance_->start(std::move(*call), std::move(content), std::move(done), std::move(progressed));
  if (!*over) calls_[{from.get(), number}] = op;
}

// Its sessions are gone with it.
void FilterService::gone(const io::Channel *client) {
  std::vector<std::uint64_t> ops;
  for (const auto &[call, op] : calls_)
    if (call.first == client) ops.push_back(op);
  std::erase_if(calls_, [&](const auto &call) { return call.first.first == client; });
  for (const auto op : ops) instance_->cancel(op);
}

}  // namespace mansio::host
