// `mansio sink`: an SMTP, LMTP and QMQP sink that misbehaves on request. Source and sink share only the byte streams
// below them, so that a fault of the server cannot hide in its own client.
#pragma once

namespace mansio::cli {

// argv[0] is the subcommand's name. Exit status: 0; 1 if mail did not go as asked; 2 for usage.
int sink_main(int argc, char **argv);

}  // namespace mansio::cli
