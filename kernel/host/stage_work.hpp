// StageWork: one stage as its plugin sees it, and what the plugin wants changed. It is what mansio.host.meta and .edit
// work on, from any thread, until the operation completes: then it is closed, and what it gathered counts or is dropped
// as a whole.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/wire/filter_messages.hpp"
#include "mansio/abi.h"

namespace mansio::host {

class StageWork {
 public:
  // `filter`: it may edit; a policy may only hold, discard and redirect.
  StageWork(wire::StageCall call, bool filter) : call_(std::move(call)), filter_(filter) {}
  const wire::StageCall &call() const { return call_; }

  // Any thread. Results as in draft/services.h.
  std::int64_t meta(bool of_message, std::string_view name, char *to, std::size_t n) const;
  mansio_status set_meta(bool of_message, std::string_view name, std::string_view value);
  mansio_status edit(Edit edit);
  // Its number; 0: it cannot be. The recipients are those of the call's arguments, as edits have changed them since.
  std::uint32_t version(std::vector<std::string> recipients);

  // The loop: nobody waits for it any more, so that its end says nothing about the plugin.
  void give_up() { given_up_ = true; }
  bool given_up() const { return given_up_; }

  // The loop, once: nothing can be changed any more. What was gathered goes into `result` if that is Ok.
  void close(wire::StageResult &result);

 private:
  bool may_have_version(const std::vector<std::string> &recipients) const;

  const wire::StageCall call_;
  const bool filter_;
  bool given_up_ = false;
  std::mutex mutex_;
  bool closed_ = false;
  std::size_t bytes_ = 0;
  std::uint32_t versions_ = 0;
  wire::StageResult gathered_;
};

}  // namespace mansio::host
