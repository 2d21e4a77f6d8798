// Submitter: where a plugin's instance takes the mail that the plugin puts into the queue, and its questions for
// permits of the queue's limits (mansio/draft/services.h): the router, which commits the one as it does its own and
// passes the other on, reached through SubmitLink or, in the router's process, at once.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "kernel/base/result.hpp"
#include "kernel/io/fd.hpp"
#include "kernel/wire/submit_messages.hpp"
#include "mansio/draft/services.h"

namespace mansio::host {

class Submitter {
 public:
  using Done = std::function<void(wire::SubmitResult &&)>;  // runs once, perhaps before the call returns

  virtual ~Submitter() = default;
  // `content` is sealed. `call.number` is nobody's yet. On the loop.
  virtual void submit(wire::SubmitCall call, io::UniqueFd content, Done done) = 0;

  using Given = std::function<void(const wire::PermitsGiven &)>;  // as Done
  virtual void take_permits(wire::PermitsAsk ask, Given done) = 0;
};

// Mail that is not taken now.
wire::SubmitResult not_submitted(std::string why);
// Where the queue process cannot be asked: nothing, and again after a while.
wire::PermitsGiven no_permits_now();

// Of all that is said of a message, beside its content, as it is sent.
inline constexpr std::uint64_t kLargestSubmitCall = 16u << 20;

struct ReadSubmission {
  wire::SubmitCall call;
  io::UniqueFd content;
};
// What a plugin hands over, copied; any thread. Status::Fail: it breaks the rules of its form; Busy: no memory or
// descriptor.
Result<ReadSubmission> read_submission(const mansio_submission *mail);

}  // namespace mansio::host
