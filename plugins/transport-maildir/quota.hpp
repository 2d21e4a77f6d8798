// The size of a Maildir, Maildir++ fashion: the messages in new/ and cur/ of the folder and of its subfolders
// (".Name"), Trash left out. A file that states its size in its name (",S=1234") is not looked at.
#pragma once

#include <cstdint>
#include <string>

namespace maildir {

std::uint64_t maildir_size(const std::string &directory);  // bytes; what cannot be read counts nothing

}  // namespace maildir
