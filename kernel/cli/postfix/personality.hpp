// The names under which the program acts as one of Postfix's tools: postqueue, mailq, postsuper, postcat and qshape,
// with their options, output and exit status, so that habits and scripts go on working. docs/operations.md says what
// differs.
#pragma once

#include <string>
#include <string_view>

#include "kernel/cli/instance.hpp"

namespace mansio::cli::postfix {

using Main = int (*)(int, char **);
// What a program called `argv0` is to run; null: it is Mansio itself.
Main personality(std::string_view argv0);

int postqueue_main(int argc, char **argv);
int mailq_main(int argc, char **argv);
int postsuper_main(int argc, char **argv);
int postcat_main(int argc, char **argv);
int qshape_main(int argc, char **argv);

// The instance that -c or MAIL_CONFIG names: a directory with a mansio.toml, or such a file itself; "" is the usual
// one.
Where instance_of(const std::string &given);
// "", or the configuration directory of the environment.
std::string mail_config();

// "TOOL: warning: ..." and "TOOL: fatal: ..." on stderr.
void warn(std::string_view tool, std::string_view text);
int fatal(std::string_view tool, std::string_view text, int status);

inline constexpr int kUnavailable = 69;  // EX_UNAVAILABLE: what postqueue(1) ends with, whatever is wrong

}  // namespace mansio::cli::postfix
