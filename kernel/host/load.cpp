// Finding, checking and opening a plugin's shared object.
#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/dll/shared_library.hpp>
#include <cerrno>
#include <cstring>

#include "kernel/host/plugin.hpp"

namespace mansio::host {
namespace {

Error refuse(const std::string &path, std::string_view why) {
  return {Status::BadConfig, fmt::format("plugin {}: {}", path, why)};
}

// Whoever can write the file runs code as us, so it must be root's or ours, and nobody else's to write.
Result<void> check_file(const std::string &path) {
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0) return refuse(path, std::strerror(errno));
  if (!S_ISREG(s.st_mode)) return refuse(path, "not a regular file");
  if (s.st_uid != 0 && s.st_uid != ::geteuid())
    return refuse(path,
                  fmt::format("owned by uid {}; it must be owned by root or uid {} (chown)", s.st_uid, ::geteuid()));
  if (s.st_mode & (S_IWGRP | S_IWOTH))
    return refuse(path, fmt::format("mode {:04o} lets others write it (chmod go-w)", s.st_mode & 07777u));
  return {};
}

}  // namespace

Result<const mansio_plugin *> load_plugin(const std::string &path) {
  if (auto checked = check_file(path); !checked) return checked.error();
  namespace dll = boost::dll;
  // Boost names no mode for it, but passes it on. The plugin stays when `library` goes; see the header.
  constexpr auto kStays = static_cast<dll::load_mode::type>(RTLD_NODELETE);
  dll::fs::error_code error;
  dll::shared_library library;
  library.load(path, error, dll::load_mode::rtld_now | dll::load_mode::rtld_local | kStays);
  if (error) return refuse(path, "cannot be loaded: " + error.message());
  if (!library.has("mansio_plugin_entry_1")) return refuse(path, "has no symbol mansio_plugin_entry_1");
  const mansio_plugin *plugin = nullptr;
  try {
    plugin = library.get<const mansio_plugin *()>("mansio_plugin_entry_1")();
  } catch (...) {
    return refuse(path, "its entry threw an exception");
  }
  if (!plugin) return refuse(path, "its entry returned nothing");
  if (plugin->abi_build != MANSIO_ABI_BUILD)
    return refuse(path, fmt::format("built for ABI build {}, this is build {}; compile it against this version's sdk/",
                                    plugin->abi_build, MANSIO_ABI_BUILD));
  if (plugin->size < sizeof(mansio_plugin) || !plugin->name || !plugin->create || !plugin->destroy || !plugin->get)
    return refuse(path, "its entry describes no whole plugin");
  return plugin;
}

}  // namespace mansio::host
