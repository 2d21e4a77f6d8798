// Finding, checking and opening a plugin's shared object.
#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/dll/shared_library.hpp>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "kernel/host/plugin.hpp"
#include "mansio/draft/build.h"

namespace mansio::host {
namespace {

// Of mansio_plugin in 1.0, which is what the oldest plugin has.
constexpr std::size_t kFirstSize = offsetof(mansio_plugin, check) + sizeof(mansio_plugin::check);

bool known_kind(std::string_view kind) {
  return kind == kTransportKind || kind == kLookupKind || kind.ends_with("~draft");
}

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
  if (auto checked = check_entry(path, plugin); !checked) return checked.error();
  return plugin;
}

// Nothing beyond `size` may be read, and nothing at all before the numbers agree.
Result<void> check_entry(const std::string &path, const mansio_plugin *plugin) {
  if (!plugin) return refuse(path, "its entry returned nothing");
  if (plugin->size < kFirstSize) return refuse(path, "its entry describes no whole plugin");
  if (plugin->abi_minor > MANSIO_ABI_MINOR)
    return refuse(path, fmt::format("needs ABI 1.{}, this Mansio has 1.{}; use a newer Mansio, or build the plugin for "
                                    "this one",
                                    plugin->abi_minor, MANSIO_ABI_MINOR));
  if (plugin->draft_build != 0 && plugin->draft_build != MANSIO_DRAFT_BUILD)
    return refuse(path,
                  fmt::format("uses drafts of build {}, this Mansio has those of build {}; compile it against this "
                              "version's sdk/",
                              plugin->draft_build, MANSIO_DRAFT_BUILD));
  if (!plugin->name || !plugin->version || !plugin->kinds || !plugin->create || !plugin->destroy || !plugin->get)
    return refuse(path, "its entry describes no whole plugin");
  if (plugin->threading != MANSIO_LOOP && plugin->threading != MANSIO_BLOCKING)
    return refuse(path, fmt::format("asks for threading {}, which this Mansio does not know", plugin->threading));
  for (const auto *o = plugin->options; o && o->name; ++o)
    if (o->type > MANSIO_OPT_LIST)
      return refuse(path, fmt::format("option {} is of type {}, which this Mansio does not know", o->name, o->type));
  std::string kinds;
  for (const auto *kind = plugin->kinds; *kind; ++kind) {
    if (std::string_view{*kind}.ends_with("~draft") && plugin->draft_build == 0)
      return refuse(path,
                    fmt::format("offers {}, a draft, without a build; set draft_build to MANSIO_DRAFT_BUILD", *kind));
    if (known_kind(*kind)) return {};
    kinds += (kinds.empty() ? "" : ", ") + std::string{*kind};
  }
  return refuse(path, fmt::format("offers {}, none of which this Mansio knows", kinds.empty() ? "nothing" : kinds));
}

bool offers(const mansio_plugin &plugin, std::string_view kind) {
  for (const auto *k = plugin.kinds; *k; ++k)
    if (kind == *k) return true;
  return false;
}

}  // namespace mansio::host
