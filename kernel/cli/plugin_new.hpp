// `mansio plugin new`: a project for a plugin of one's own, which builds against the installed SDK, has a unit test
// that passes, and says in its README what to do next. The files come from sdk/template.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace mansio::cli {

struct NewPlugin {
  std::string kind;              // "lookup", "transport", "filter", "policy", "event", "rate", "auth", "store"
  std::string name;              // "shout" or "lookup-shout"
  std::string language = "c++";  // or "c"
  std::string directory;         // "" = the plugin's name, here
};
int plugin_new_main(const NewPlugin &order);

struct Template {
  std::string_view name, text;
};
std::span<const Template> plugin_templates();  // made by CMake from sdk/template

}  // namespace mansio::cli
