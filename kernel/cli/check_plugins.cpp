// The part of `mansio check` that needs the plugins themselves.
#include <utility>

#include "kernel/cli/check.hpp"
#include "kernel/config/values.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/supervisor/checked.hpp"

namespace mansio::cli {
namespace {

class PluginCheck {
 public:
  PluginCheck(const config::Parsed &parsed, const std::string &config_path) : parsed_(parsed), path_(config_path) {}

  std::vector<config::Problem> run() {
    const auto directory = plugin_directory(parsed_.settings);
    for (const auto &transport : parsed_.settings.transports) {
      const auto plugin = host::load_plugin(directory + '/' + transport.plugin + ".so");
      if (!plugin) {
        add("transport." + transport.name + ".plugin", "is \"" + transport.plugin + "\": " + plugin.error().text);
        continue;
      }
      check(transport, **plugin);
    }
    return std::move(problems_);
  }

 private:
  void check(const config::Transport &transport, const mansio_plugin &plugin) {
    const auto prefix = "transport." + transport.name + '.';
    const auto table = host::options_of(plugin);
    const auto before = problems_.size();
    std::vector<std::string_view> names;
    for (const auto &option : table) names.push_back(option.name);
    for (const auto &[name, value] : transport.options) {
      const config::PluginOption *known = nullptr;
      for (const auto &option : table) known = option.name == name ? &option : known;
      if (!known) {
        const auto near = config::suggestion(name, names);
        add(prefix + name, "is not an option of " + transport.plugin +
                               (near.empty() ? "" : "; did you mean " + std::string{near} + '?'));
      } else if (const auto canonical = config::canonical_option(*known, value); !canonical) {
        add(prefix + name, canonical.error().text);
      }
    }
    for (const auto &option : table) {
      if (option.required && !transport.options.contains(option.name)) {
        add(prefix + option.name, "is missing; " + transport.plugin + " demands it");
      }
    }
    if (problems_.size() != before) return;
    if (const auto all = host::check_options(plugin, transport.options); !all) {
      add("transport." + transport.name, all.error().text);
    }
  }

  void add(const std::string &key, std::string text) {
    auto place = parsed_.places.find(key);
    if (place == parsed_.places.end()) place = parsed_.places.find(key.substr(0, key.rfind('.')));
    if (place == parsed_.places.end()) {
      problems_.push_back({path_, 0, key, std::move(text)});
    } else {
      problems_.push_back({place->second.file, place->second.line, key, std::move(text)});
    }
  }

  const config::Parsed &parsed_;
  const std::string &path_;
  std::vector<config::Problem> problems_;
};

}  // namespace

std::string plugin_directory(const config::Settings &settings) {
  return settings.plugin_dir.empty() ? supervisor::default_plugin_dir() : settings.plugin_dir;
}

std::vector<config::Problem> check_plugins(const config::Parsed &parsed, const std::string &config_path) {
  return PluginCheck{parsed, config_path}.run();
}

}  // namespace mansio::cli
