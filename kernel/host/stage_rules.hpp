// What the stages are called, and what a plugin may change at which one, and in what form. Checked beside the plugin,
// which is told at once, and again where the answer of a process of its own arrives: nothing that such a process writes
// is believed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/wire/filter_messages.hpp"
#include "mansio/abi.h"

namespace mansio::host {

std::string_view stage_name(std::uint32_t stage);  // for logs: "RCPT", "end of message"
// Of the content of a message: fields, pieces of the body, and its end.
bool is_content(std::uint32_t stage);

constexpr std::size_t kMostEdits = 10'000;                       // of one operation
constexpr std::size_t kMostEditedBytes = std::size_t{64} << 20;  // of one operation's edits and metadata
constexpr std::uint32_t kMostVersions = 100;                     // that an operation makes
constexpr std::size_t kMostTold = 1'000, kMostToldBytes = std::size_t{128} << 10;

// MANSIO_OK, and the edit is in its canonical form; MANSIO_FAIL: it cannot be; MANSIO_UNSUPPORTED: not at this stage,
// or not by a policy (`filter` is false), which may only hold, discard and redirect, and at stages of the queue say
// where mail goes.
mansio_status check_edit(Edit &edit, bool filter, std::uint32_t stage);
mansio_status check_metadata(std::string_view name, std::string_view value, bool of_message, std::uint32_t stage);

// What a plugin was told: for a recording, so that more than it has room for is left out and breaks no rule.
bool fits_recording(const std::vector<std::string> &told);

// All of an answer; one that is not valid has broken the rules.
bool valid(wire::StageResult &result, bool filter, std::uint32_t stage);

}  // namespace mansio::host
