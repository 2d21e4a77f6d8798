// What operators say of a command's surroundings: its environment, and files that have to be there. Both are judged
// when the configuration is read, where an error has a line.
#pragma once

#include <string>
#include <vector>

namespace mansio::pipe {

// The option `environment`: NAME=VALUE stays, NAME becomes what this process has, or is left out where it has none.
// PATH is there in any case. Throws BadConfig for what is neither.
std::vector<std::string> read_environment(const std::vector<std::string> &given);

// Throws BadConfig of `option` when there is no such file. Below `root`, where symbolic links lead to what a command
// sees there and not to our own files. What the process that asks may not look at is left to the start of a command.
void must_be_there(const char *option, const std::string &path, const std::string &root = {});

// The option `directory`, below `root`.
std::string read_directory(const std::string &given, const std::string &root = {});

}  // namespace mansio::pipe
