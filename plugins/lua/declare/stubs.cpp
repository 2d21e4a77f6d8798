// The declarations in LuaLS's annotations. All of it can be evaluated by the compiler, as the declarations can.
#include "plugins/lua/declare/stubs.hpp"

#include <span>
#include <string_view>
#include <utility>

#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/classes.hpp"
#include "plugins/lua/declare/declared.hpp"
#include "plugins/lua/declare/functions.hpp"
#include "plugins/lua/declare/libraries.hpp"
#include "plugins/lua/declare/methods.hpp"

namespace mansio::lua {
namespace {

constexpr std::string_view kStubHead =
    "---@meta mansio\n"
    "-- What a script of Mansio finds, for LuaLS: put this file's folder into \"workspace.library\" of .luarc.json, "
    "and "
    "the\n"
    "-- editor completes, explains and checks. docs/lua-guide.md explains. The file is generated from the "
    "declarations\n"
    "-- in plugins/lua, which are those of the engine's own checks: `MANSIO_WRITE_REFERENCE=1 unit-lua` writes it "
    "anew.\n"
    "\n"
    "---@class mansio\n"
    "mansio = {}\n";

class StubWriter {
 public:
  constexpr std::string write() {
    out_ = kStubHead;
    aliases();
    for (const auto &declared : kDeclaredClasses) class_(declared);
    for (const auto &declared : kDeclaredFunctions) {
      out_ += '\n';
      function(declared, declared.name);
    }
    for (const auto &declared : kDeclaredLibraries) library(declared);
    return std::move(out_);
  }

 private:
  // Each line of it behind "---".
  constexpr void text(std::string_view text) {
    while (!text.empty()) {
      const auto line = text.substr(0, text.find('\n'));
      (out_ += "---") += line;
      out_ += '\n';
      text.remove_prefix(line.size() == text.size() ? line.size() : line.size() + 1);
    }
  }
  // "---@param name type text", of which there may be no text.
  constexpr void annotation(std::string_view what, std::string_view of, std::string_view text) {
    ((out_ += "---@") += what) += ' ';
    out_ += of;
    if (!text.empty()) (out_ += ' ') += text;
    out_ += '\n';
  }
  constexpr void named(std::string_view what, std::string_view name, std::string_view type, std::string_view text) {
    std::string of{name};
    (of += ' ') += type;
    annotation(what, of, text);
  }

  template <class Names, class NameOf>
  constexpr void alias(std::string_view name, std::string_view about, const Names &names, NameOf name_of) {
    out_ += '\n';
    text(about);
    annotation("alias", name, "");
    for (const auto &one : names) {
      ((out_ += "---| \"") += name_of(one)) += "\"\n";
    }
  }
  constexpr void aliases() {
    constexpr auto kName = [](const auto &event) { return event.name; };
    constexpr auto kItself = [](std::string_view name) { return name; };
    alias("mansio.Event", "", kEvents, kName);
    ((out_ += "---| \"") += kAbortEvent.name) += "\"\n";
    alias("mansio.MessageEvent",
          "What became of messages, and \"log\", a line of the log; handlers of these are told, and return nothing.",
          kMessageEvents, kName);
    alias("mansio.OnError", "What an error in a handler means; \"fail\": on_failure of the configuration decides.",
          kOnErrors, kItself);
    alias("mansio.ProvideKind", "", kProvideKinds, kItself);
    alias("mansio.RecordType", "Of DNS.", kRecordTypes, kItself);
    alias("mansio.QueueLimit", "", kQueueLimits, kItself);
    out_ += '\n';
    annotation("alias", "mansio.Time",
               "number|string Seconds, or text such as \"500ms\", \"5s\", \"2m\", \"1h\", \"7d\".");
  }

  constexpr void fields(std::span<const DeclaredField> fields) {
    for (const auto &field : fields) named("field", field.name, field.type, field.text);
  }
  constexpr void class_(const DeclaredClass &declared) {
    out_ += '\n';
    text(declared.text);
    annotation("class", declared.name, "");
    fields(declared.fields);
    if (declared.name == "mansio.FilterObject") event_fields();
    if (!declared.object.empty()) methods(declared);
  }
  // ["end-of-message"] is no name of Lua's.
  constexpr void event_fields() {
    for (const auto &event : kEvents) {
      std::string name{event.name};
      if (name.find('-') != name.npos) name = "[\"" + name + "\"]";
      named("field", name + '?', event.handler, event.text);
    }
    named("field", std::string{kAbortEvent.name} + '?', kAbortEvent.handler, kAbortEvent.text);
  }
  constexpr void methods(const DeclaredClass &declared) {
    const std::string_view local = declared.name.substr(declared.name.find('.') + 1);
    bool first = true;
    for (const auto &method : kDeclaredMethods) {
      const auto colon = method.name.find(':');
      if (method.name.substr(0, colon) != declared.object) continue;
      if (first) ((out_ += "local ") += local) += " = {}\n";
      first = false;
      std::string name{local};
      function(method, name += method.name.substr(colon));
    }
  }

  constexpr void function(const DeclaredFunction &declared, std::string_view name) {
    text(declared.text);
    if (!declared.generic.empty()) annotation("generic", declared.generic, "");
    if (name == "mansio.on") overloads();
    std::string parameters;
    for (const auto &parameter : declared.parameters) {
      if (parameter.name.empty()) break;
      named("param", parameter.name, parameter.type, parameter.text);
      if (!parameters.empty()) parameters += ", ";
      parameters += plain_name(parameter.name);
    }
    for (const auto &result : declared.results)
      if (!result.type.empty()) annotation("return", result.type, result.text);
    ((((out_ += "function ") += name) += '(') += parameters) += ") end\n";
  }
  // Of mansio.on(), so that a handler's parameters are known.
  constexpr void overloads() {
    for (const auto &event : kEvents) {
      overload(event.name, "", event.handler);
      overload(event.name, ", options: mansio.OnOptions", event.handler);
    }
    overload(kAbortEvent.name, "", kAbortEvent.handler);
    overload(kAbortEvent.name, ", options: {timeout?: mansio.Time}", kAbortEvent.handler);
    for (const auto &event : kMessageEvents) {
      overload(event.name, "", event.handler);
      overload(event.name, ", options: {timeout?: mansio.Time}", event.handler);
    }
  }
  constexpr void overload(std::string_view event, std::string_view options, std::string_view handler) {
    std::string of{"fun(event: \""};
    ((((of += event) += '"') += options) += ", handler: ") += handler;
    annotation("overload", of += ')', "");
  }

  constexpr void library(const DeclaredLibrary &declared) {
    out_ += '\n';
    text(declared.text);
    annotation("class", declared.name, "");
    fields(declared.fields);
    (out_ += declared.name) += " = {}\n";
    for (const auto &function_of : kDeclaredLibraryFunctions)
      if (function_of.name.substr(0, function_of.name.rfind('.')) == declared.name)
        function(function_of, function_of.name);
  }

  std::string out_;
};

}  // namespace

std::string stubs() { return StubWriter{}.write(); }

}  // namespace mansio::lua
