// Header rewriting: other addresses in the place of those in a message's own header fields. Names, comments and folding
// stay as they were.
#pragma once

#include <string>

#include "kernel/base/result.hpp"
#include "kernel/route/address_rewriter.hpp"

namespace mansio::route {

// `section`: field lines with their line ends. An error means that a table could not say.
Task<Result<std::string>> rewrite_header(Search &search, const AddressRewriter &rewriter, std::string section);

}  // namespace mansio::route
