// Submission: mail that a plugin puts into the queue, looked at as if a client had brought it: what a plugin's process
// says is not believed. Pure.
#pragma once

#include <cstdint>

#include "kernel/base/result.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/mail/headers.hpp"
#include "kernel/wire/submit_messages.hpp"

namespace mansio::router {

// The envelope without routes and body; each recipient as it was asked for, in canonical form. An error is
// Status::Fail. The limits of [smtpd] count.
Result<Envelope> submission_envelope(const wire::SubmitCall &call, const config::Settings &settings, Nanos now);

// The content, when all of it has been seen in canonical form. `longest_line`: octets, without its end.
Result<void> judge_submission(const ContentScanner &content, std::uint64_t longest_line,
                              const config::Settings &settings);

}  // namespace mansio::router
