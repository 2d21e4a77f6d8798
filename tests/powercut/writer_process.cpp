#include "tests/powercut/writer_process.hpp"

namespace mansio::test {

WriterProcess::WriterProcess(World &world, Random &random, FaultFiles &disk, const Clock &clock, TailSink &sink,
                             wire::Peer p)
    : Process(disk, clock, sink, p.name), world_(world), random_(random), clock_(clock) {
  peer = std::move(p);
}

void WriterProcess::start() {
  spool::WriterOptions o;
  o.large_body = 12000;
  o.max_batch_wait = 0;
  o.process_sync_interval = 0;
  o.files = &files;
  writer_ = spool::make_writer(std::make_shared<spool::WriterCore>(loop, log, *this, o, &turns));
}

void WriterProcess::kill() {
  alive_ = false;
  files.kill();
  to_queue.reset();
  from_queue.reset();
  writer_.reset();
  segments_.clear();
  lost();
  loop.restart();
  loop.poll();  // sessions end
}

// ---- the line to the queue ---------------------------------------------------------------------------------------

void WriterProcess::attached() {
  sequence_ = 0;
  behind_ = false;
  wire::WriterHello hello;
  hello.segments = writing_;
  for (const auto &s : unreported_) hello.segments.emplace_back(s.segment, s.epoch);
  hello.given_up = given_up_;
  to_queue->send(hello);
  for (const auto &s : std::exchange(unreported_, {})) to_queue->send(s);
}

void WriterProcess::lost() {
  to_queue.reset();
  from_queue.reset();
  behind_ = false;
  for (auto &[number, request] : std::exchange(requests_, {}))
    answer(*request, Error{Status::Busy, "the queue process is away", {4, 3, 2}});
}

void WriterProcess::answer(Request &request, Result<spool::SegmentGrant> result) {
  request.result = std::move(result);
  request.done.set(loop);
}

Task<Result<spool::SegmentGrant>> WriterProcess::next(std::uint64_t least) {
  if (!to_queue) co_return Error{Status::Busy, "the queue process is away", {4, 3, 2}};
  const auto request = std::make_shared<Request>();
  const auto number = ++next_request_;
  requests_[number] = request;
  to_queue->send(wire::SegmentRequest{number, least});
  co_await request->done.wait();
  co_return std::move(*request->result);
}

void WriterProcess::sealed(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) {
  std::erase(writing_, std::pair{segment, epoch});
  if (bad_from != 0) given_up_.push_back({segment, epoch, bad_from});
  if (to_queue && !behind_)
    to_queue->send(wire::SegmentSealed{segment, epoch, bad_from});
  else
    unreported_.push_back({segment, epoch, bad_from});
}

void WriterProcess::receive(Frame &frame) {
  if (frame.type == wire::RouteRequest::kType) return on_route_request(*decode<wire::RouteRequest>(frame.payload));
  if (frame.type == wire::DsnRequest::kType) return on_dsn_request(*decode<wire::DsnRequest>(frame.payload));
  if (frame.type == wire::SegmentFd::kType) {
    const auto s = *decode<wire::SegmentFd>(frame.payload);
    segments_[{s.segment, s.epoch}] = files.adopt(std::move(frame.fds.at(0)), "quoted");
    return;
  }
  if (frame.type == wire::ForgetSegment::kType) {
    const auto s = *decode<wire::ForgetSegment>(frame.payload);
    segments_.erase({s.segment, s.epoch});
    return;
  }
  if (frame.type != wire::SegmentReply::kType) return;
  const auto reply = *decode<wire::SegmentReply>(frame.payload);
  const auto found = requests_.find(reply.request);
  if (found == requests_.end()) {
    if (reply.status == Status::Ok) to_queue->send(wire::SegmentSealed{reply.segment, reply.epoch, 0});
    return;
  }
  const auto request = found->second;
  requests_.erase(found);
  if (reply.status != Status::Ok) return answer(*request, Error{reply.status, reply.text});
  world_.granted(reply.segment, reply.epoch);
  writing_.emplace_back(reply.segment, reply.epoch);
  answer(*request, spool::SegmentGrant{reply.node, reply.segment, reply.epoch, reply.size, std::move(frame.fds.at(0))});
}

// ---- mail ----------------------------------------------------------------------------------------------------------

void WriterProcess::accept(std::size_t size, Envelope envelope, Durability durability,
                           std::function<void(std::optional<MessageId>)> then) {
  asio::co_spawn(loop, session(shared_from_this(), size, std::move(envelope), durability, std::move(then)),
                 [](std::exception_ptr e) {
                   if (e) std::rethrow_exception(e);
                 });
}

Task<> WriterProcess::session(std::shared_ptr<WriterProcess> self, std::size_t size, Envelope envelope,
                              Durability durability, std::function<void(std::optional<MessageId>)> then) {
  ++self->sessions_;
  auto written = co_await write(*self, size, std::move(envelope), durability);
  --self->sessions_;
  if (then && self->alive_) then(written);
}

Task<std::optional<MessageId>> WriterProcess::write(WriterProcess &self, std::size_t size, Envelope envelope,
                                                    Durability durability) {
  if (!self.alive_) co_return std::nullopt;
  const bool notice = static_cast<bool>(envelope.dsn_parent.id);
  auto id = co_await self.writer_->reserve_id();
  if (!id || !self.alive_) co_return std::nullopt;
  self.world_.reserved(*id);
  if (!notice && self.random_() % 24 == 0) co_return std::nullopt;  // reserved for nothing
  // Every part of it tells whose it is.
  const auto name = to_string(*id);
  const std::string prefix = "X: " + name + "\r\n";
  std::string body;
  while (body.size() < size) body += name + static_cast<char>('a' + body.size() % 26);
  body.resize(size);
  auto &mail = self.world_.sent(*id, prefix + body, envelope, durability);
  auto draft = self.writer_->begin();
  for (std::size_t at = 0; at < body.size(); at += 7000) {
    const auto part = body.substr(at, 7000);
    auto appended = co_await draft->append(part);
    if (!appended || !self.alive_) co_return std::nullopt;
  }
  if (!notice && self.random_() % 24 == 0) co_return std::nullopt;  // the client went away
  mail.committing = true;
  auto commit = co_await self.writer_->commit(*id, prefix, std::move(draft), envelope, durability);
  if (!self.alive_ || !commit) co_return std::nullopt;
  mail.acknowledged = true;
  mail.acknowledged_in = self.world_.starts;
  self.world_.places[*id] = *commit;
  self.committed(*commit, envelope);
  co_return *id;
}

void WriterProcess::committed(const spool::Committed &at, const Envelope &envelope) {
  if (!to_queue) return;
  wire::Notice notice{++sequence_, at.id, at.commit, at.envelope, at.body, {}};
  if (random_() % 4 != 0) notice.envelope_bytes = encode_envelope(envelope);
  if (random_() % 24 == 0)
    behind_ = true;  // the channel was full
  else
    to_queue->send(notice);
  if (random_() % 8 == 0) catch_up();
}

// ---- the router's ---------------------------------------------------------------------------------------------------

void WriterProcess::on_route_request(const wire::RouteRequest &request) {
  wire::RouteReply reply;
  reply.request = request.request;
  reply.id = request.id;
  for (const auto &[recipient, address] : request.recipients) reply.routes.emplace_back(recipient, Route{"smtp", ""});
  to_queue->send(reply);
}

// A notification holds bytes of its parent: they must be that one's.
void WriterProcess::quote(const wire::DsnRequest &request) {
  std::string bytes;
  for (const auto &slice : request.slices) {
    const auto file = segments_.find({slice.segment, slice.epoch});
    if (file == segments_.end())
      throw Failure{"a notification without its parent's segment: " + to_string(request.parent.id)};
    std::string part(slice.length, '\0');
    if (!file->second->read_at(slice.offset, part.data(), part.size())) return;
    bytes += part;
  }
  if (bytes != world_.mail.at(request.parent.id).bytes)
    throw Failure{"a notification quotes other bytes than its parent's: " + to_string(request.parent.id)};
}

void WriterProcess::on_dsn_request(const wire::DsnRequest &request) {
  quote(request);
  world_.asked(request);
  const auto [at, first] = notified_.try_emplace({request.parent.id, request.parent.event});
  if (!first) {  // by a queue process before this one
    if (at->second) to_queue->send(wire::DsnWritten{request.parent, at->second, false, {}});
    return;
  }
  Envelope e;
  e.recipients.push_back({request.to, {}, {}, 0, 0});
  e.routes.push_back({"smtp", ""});
  e.dsn_parent = request.parent;
  e.arrival = clock_.wall();
  accept(600, std::move(e), Durability::Power, [this, parent = request.parent](std::optional<MessageId> id) {
    notified_[{parent.id, parent.event}] = id.value_or(MessageId{});
    if (!id) notified_.erase({parent.id, parent.event});
    if (to_queue) to_queue->send(wire::DsnWritten{parent, id.value_or(MessageId{}), false, id ? "" : "no room"});
  });
}

}  // namespace mansio::test
