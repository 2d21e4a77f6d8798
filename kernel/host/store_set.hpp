// StoreSet: the configured stores as those see them who commit mail, ingress and router. A message is in all of them or
// it is not accepted: what one of them did not take, nobody may say 250 to.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/log.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/host/remote_store.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/spool/writer.hpp"

namespace mansio::host {

class StoreSet {
 public:
  // Null: no store is configured.
  static std::unique_ptr<StoreSet> create(const config::Settings &settings, asio::io_context &loop, const Clock &clock,
                                          Logger &log);
  ~StoreSet();

  // A channel to the host process of that name ("host.store.NAME"); false: it hosts none of these.
  bool attach(std::string_view host, std::shared_ptr<io::Channel> channel);
  bool away() const;  // one of them has no process, and none is waited for: nothing can be committed

  // What a message's ENVELOPE and BODY in the spool will be: the envelope, and `trace` with what `draft` holds. Returns
  // once all have it on stable storage. An error, which is logged: some have it not, though others may; what commit
  // refusals say applies (Busy: no memory for the copy).
  Task<Result<void>> commit(StoreKey key, spool::Draft &draft, std::string envelope, std::string trace);
  // A message that the store of that name has.
  Task<RemoteStore::Answered> fetch(std::string store, StoreKey key);
  void stats(const StatsSink &add) const;
  void close();  // no process is spoken to any more

 private:
  StoreSet(asio::io_context &loop, Logger &log) : loop_(loop), log_(log) {}

  asio::io_context &loop_;
  Logger &log_;
  std::vector<std::unique_ptr<RemoteStore>> stores_;
};

}  // namespace mansio::host
