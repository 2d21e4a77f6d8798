// Submissions: mail that plugins put into the queue (mansio/draft/services.h), in this process or in others that are
// connected; their questions for permits are passed on. Each is committed as mail of a client is, to the stores and the
// spool, and only then does its plugin hear that it is taken. It is all or nothing: one recipient without a way refuses
// the message.
//
// What is in hand is bounded, in messages and octets; beyond that, and while new mail is not welcome (a full disk, a
// backlog at its limit, no queue process), the answer is "try later".
//
// Single-threaded, on the loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/id.hpp"
#include "kernel/base/log.hpp"
#include "kernel/base/result.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/host/submitter.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/router/ways.hpp"
#include "kernel/spool/writer.hpp"

namespace mansio::router {

class Submissions final : public host::Submitter {
 public:
  // What the role has for them. All outlives this.
  struct Ground {
    asio::io_context &loop;
    const Clock &clock;
    Logger &log;
    const config::Settings &settings;
    std::uint32_t config_epoch;
    std::function<std::string()> unwelcome;  // why there is no new mail now; "": there may be
    std::function<Task<Result<std::vector<Way>>>(std::string sender, std::string recipient)> find_all;
    std::function<spool::Writer &()> writer;
    std::function<Task<Result<void>>(MessageId, std::string trace, std::unique_ptr<spool::Draft>, const Envelope &)>
        commit;
    std::function<void(int)> in_hand;                           // +1 or -1
    std::function<void(wire::PermitsAsk, Given)> take_permits;  // of the queue process
  };
  explicit Submissions(Ground ground) : ground_(std::move(ground)) {}
  ~Submissions() override { close(); }
  Submissions(const Submissions &) = delete;
  Submissions &operator=(const Submissions &) = delete;

  void attach(std::string process, std::shared_ptr<io::Channel> channel);  // of plugins; not started yet
  void submit(wire::SubmitCall call, io::UniqueFd content, Done done) override;
  void take_permits(wire::PermitsAsk ask, Given done) override;
  void close();  // nothing more is taken
  std::uint64_t taken() const { return taken_; }
  std::uint64_t refused() const { return refused_; }

 private:
  void receive(const std::string &process, const std::weak_ptr<io::Channel> &from, io::Message &m);
  Task<> take(wire::SubmitCall call, std::shared_ptr<io::UniqueFd> content, Done done);
  Task<Result<MessageId>> commit(const wire::SubmitCall &call, const io::UniqueFd &content);
  // Each recipient's ways in place of the address that was asked for.
  Task<Result<void>> route(Envelope &envelope);

  Ground ground_;
  std::set<std::shared_ptr<io::Channel>> channels_;
  std::size_t under_way_ = 0;
  std::uint64_t octets_ = 0;  // of what is under way
  std::uint64_t taken_ = 0, refused_ = 0;
  bool closed_ = false;
};

}  // namespace mansio::router
