#include "kernel/control/bridge.hpp"

#include <chrono>

namespace mansio::control {

Task<> Question::change() {
  if (done || !lines.empty()) co_return;
  ErrorCode ignored;
  wake.expires_at(std::chrono::steady_clock::time_point::max());
  co_await wake.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

void Bridge::finish(Question &q, std::string error) {
  q.done = true;
  q.error = std::move(error);
  q.wake.cancel();
}

std::shared_ptr<Question> Bridge::find(const Questions &in, std::uint32_t request) {
  const auto at = in.find(request);
  return at == in.end() ? nullptr : at->second.lock();
}

std::shared_ptr<Question> Bridge::ask_queue(wire::QueueCommand command) {
  auto question = std::make_shared<Question>(context_.loop);
  command.request = ++next_;
  if (!queue_ || !queue_->send(command)) {
    finish(*question, queue_ ? "the request is too large for the queue process, or it is too busy"
                             : "the queue process is not running; try again in a moment");
    return question;
  }
  to_queue_[command.request] = question;
  return question;
}

std::shared_ptr<Question> Bridge::ask_supervisor(std::string verb, std::vector<std::string> arguments) {
  auto question = std::make_shared<Question>(context_.loop);
  const auto request = ++next_;
  if (context_.ask_supervisor(wire::Command{request, std::move(verb), std::move(arguments)}))
    to_supervisor_[request] = question;
  else
    finish(*question, "the supervisor does not listen");
  return question;
}

void Bridge::took_lines(const Question &question) {
  for (const auto &[request, q] : to_queue_)
    if (q.lock().get() == &question) {
      if (queue_) queue_->send(wire::QueueCommandCredit{request});
      return;
    }
}

void Bridge::attach(const wire::Peer &peer, std::shared_ptr<io::Channel> channel) {
  if (peer.kind != wire::RoleKind::Queue) return channel->close();
  queue_lost();
  queue_ = std::move(channel);
  queue_peer_ = peer;
  queue_->start([this](io::Message &m) { on_queue(m); },
                [this](std::string_view) {
                  queue_lost();
                  context_.lost_peer(queue_peer_);
                });
}

void Bridge::queue_lost() {
  if (queue_) queue_->close();
  queue_.reset();
  for (const auto &[request, weak] : std::exchange(to_queue_, {}))
    if (const auto q = weak.lock()) finish(*q, "the queue process ended meanwhile; try again in a moment");
}

void Bridge::on_queue(io::Message &m) {
  if (m.type != wire::QueueReply::kType) return;
  auto reply = decode<wire::QueueReply>(m.payload);
  if (!reply) return;
  const auto question = find(to_queue_, reply->request);
  if (question) {
    if (!reply->lines.empty()) question->lines.push_back(std::move(reply->lines));
    question->affected = reply->affected;
    if (reply->done) finish(*question, std::move(reply->error));
    question->wake.cancel();
    // A reply without lines is taken as soon as it is here.
    if (!reply->done && question->lines.empty()) queue_->send(wire::QueueCommandCredit{reply->request});
  } else if (!reply->done) {
    queue_->send(wire::QueueCommandCredit{reply->request});  // nobody listens any more: let it run out
  }
  if (reply->done) to_queue_.erase(reply->request);
}

void Bridge::command_result(const wire::CommandResult &result) {
  if (const auto question = find(to_supervisor_, result.request)) {
    question->json = result.json;
    finish(*question, result.ok ? "" : result.json);
  }
  to_supervisor_.erase(result.request);
}

void Bridge::peer_stats(const wire::Stats &stats) {
  if (const auto question = find(to_supervisor_, stats.request)) question->stats.push_back(stats);
}

void Bridge::close() {
  queue_lost();
  for (const auto &[request, weak] : std::exchange(to_supervisor_, {}))
    if (const auto q = weak.lock()) finish(*q, "the control process is stopping");
}

}  // namespace mansio::control
