// Writing one message into one Maildir (https://cr.yp.to/proto/maildir.html): into tmp/, synced, renamed into new/,
// and new/ synced. Success means that the message is on stable storage; after a failure nothing of it is left.
// Blocks; any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "directories.hpp"
#include "files.hpp"
#include "plugins/transport-common/header.hpp"

namespace maildir {

struct Message {
  std::string headers;  // put before it, lines ending in "\n"
  std::uint64_t length = 0;
  mansio::transport::ReadMessage read;
};

struct Folder {
  std::string path;
  std::string host;         // for file names
  mode_t mode = 0600;       // of the file
  bool create = true;       // the folder, and what lacks above it, with mode 0700
  std::uint64_t quota = 0;  // bytes; 0 = none
};

enum class Outcome { Delivered, NoMailbox, OverQuota, Unreadable, SystemError };
struct Result {
  Outcome outcome = Outcome::Delivered;
  int error = 0;     // errno of SystemError
  std::string what;  // "create /var/mail/x/tmp/..."
};

// `directories`: shared by all deliveries.
Result deliver(const Folder &folder, const Message &message, Directories &directories, Files &files);
Result deliver(const Folder &folder, const Message &message, Directories &directories);  // with the system's files

}  // namespace maildir
