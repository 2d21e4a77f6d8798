// `mansio source`: an SMTP, LMTP and QMQP load generator. Source and sink share only the byte streams below them, so
// that a fault of the server cannot hide in its own client.
#pragma once

namespace mansio::cli {

// argv[0] is the subcommand's name. Exit status: 0; 1 if mail did not go as asked; 2 for usage.
int source_main(int argc, char **argv);

}  // namespace mansio::cli
