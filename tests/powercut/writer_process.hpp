// A process that writes mail: the ingress, and the router, which writes notifications.
#pragma once

#include <map>
#include <optional>

#include "kernel/spool/wait.hpp"
#include "kernel/spool/writer_core.hpp"
#include "kernel/wire/queue_messages.hpp"
#include "tests/powercut/parts.hpp"
#include "tests/powercut/world.hpp"

namespace mansio::test {

class WriterProcess : public Process,
                      public Actor,
                      public spool::SegmentSource,
                      public std::enable_shared_from_this<WriterProcess> {
 public:
  WriterProcess(World &world, Random &random, FaultFiles &disk, const Clock &clock, TailSink &sink, wire::Peer peer);
  void start();
  void kill();  // -9

  // One session: a message is written, or given up on the way.
  void accept(std::size_t size, Envelope envelope, Durability durability,
              std::function<void(std::optional<MessageId>)> then = {});
  std::size_t sessions() const { return sessions_; }

  void attached() override;
  void lost() override;
  void receive(Frame &frame) override;
  void catch_up() {  // a hint was lost
    if (behind_ && to_queue) attached();
  }
  Task<Result<spool::SegmentGrant>> next(std::uint64_t least) override;
  void sealed(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) override;

 private:
  struct Request {
    std::optional<Result<spool::SegmentGrant>> result;
    spool::Event done;
  };
  static Task<> session(std::shared_ptr<WriterProcess> self, std::size_t size, Envelope envelope, Durability durability,
                        std::function<void(std::optional<MessageId>)> then);
  static Task<std::optional<MessageId>> write(WriterProcess &self, std::size_t size, Envelope envelope,
                                              Durability durability);
  void answer(Request &request, Result<spool::SegmentGrant> result);
  void committed(const spool::Committed &message, const Envelope &envelope);
  void on_route_request(const wire::RouteRequest &request);
  void on_dsn_request(const wire::DsnRequest &request);
  void quote(const wire::DsnRequest &request);

  World &world_;
  Random &random_;
  const Clock &clock_;
  bool alive_ = true, behind_ = false;
  std::size_t sessions_ = 0;
  std::uint32_t next_request_ = 0;
  std::uint64_t sequence_ = 0;
  std::map<std::uint32_t, std::shared_ptr<Request>> requests_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> writing_;
  std::vector<wire::SegmentSealed> unreported_, given_up_;
  std::map<std::pair<MessageId, std::uint32_t>, MessageId> notified_;                      // as the router remembers
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::shared_ptr<io::File>> segments_;  // it reads
  std::unique_ptr<spool::Writer> writer_;
};

}  // namespace mansio::test
