#include "plugins/lua/tool/test_run.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "plugins/lua/tool/test_file.hpp"

namespace mansio::lua::tool {
namespace {

constexpr std::string_view kEnding = "_test.lua";

class Run {
 public:
  Run(const TestOrder &order, std::FILE *out) : order_(order), out_(out) {}

  int all() {
    const auto begin = std::chrono::steady_clock::now();
    for (const auto &path : order_.paths) find(path);
    for (const auto &file : files_) one(file);
    if (passed_ + failed_ == 0 && problems_ == 0) problem(nothing());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    for (const auto &name : failures_) std::fprintf(out_, "failed: %s\n", name.c_str());
    std::fprintf(out_, "%s%zu passed, %zu failed", failures_.empty() ? "" : "\n", passed_, failed_);
    if (problems_ != 0) std::fprintf(out_, ", %zu error%s", problems_, problems_ == 1 ? "" : "s");
    std::fprintf(out_, ", %zu file%s, %.2f s\n", files_.size(), files_.size() == 1 ? "" : "s", took.count());
    return failed_ == 0 && problems_ == 0 ? 0 : 1;
  }

 private:
  void find(const std::string &path) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      if (std::filesystem::exists(path, error))
        files_.push_back(path);
      else
        problem(path + " is not there");
      return;
    }
    std::vector<std::string> found;
    std::filesystem::recursive_directory_iterator walk{path, error}, end;
    for (; !error && walk != end; walk.increment(error))
      if (walk->path().filename().string().ends_with(kEnding)) found.push_back(walk->path().string());
    if (error) problem(path + ": " + error.message());
    std::sort(found.begin(), found.end());
    files_.insert(files_.end(), found.begin(), found.end());
  }

  std::string nothing() const {
    if (!files_.empty()) return "no case has \"" + order_.only + "\" in its name";
    return "no file is called *" + std::string{kEnding};
  }

  void one(const std::string &path) {
    try {
      TestFile file{path, order_.update};
      const auto &cases = file.cases();
      bool titled = false;
      for (std::size_t i = 0; i < cases.size(); ++i) {
        if (cases[i].find(order_.only) == std::string::npos) continue;
        if (!titled) std::fprintf(out_, "%s\n", path.c_str());
        titled = true;
        report(path, cases[i], file.run(i));
      }
      if (titled) std::fprintf(out_, "\n");
    } catch (const std::exception &e) {
      std::fprintf(out_, "%s\n", path.c_str());
      problem(e.what());
      std::fprintf(out_, "\n");
    }
  }

  void report(const std::string &path, const std::string &name, const Failure &failure) {
    if (failure.why.empty()) {
      ++passed_;
      std::fprintf(out_, "  ok    %s\n", name.c_str());
    } else {
      ++failed_;
      failures_.push_back(path + ": " + name);
      std::fprintf(out_, "  FAIL  %s\n", name.c_str());
      indented(failure.why);
      if (!failure.log.empty()) {
        indented("the log of its scripts:");
        indented(failure.log);
      }
    }
    std::fflush(out_);
  }

  void problem(const std::string &text) {
    ++problems_;
    std::fprintf(out_, "  ERROR %s\n", text.c_str());
  }

  void indented(std::string_view text) const {
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      std::fprintf(out_, "        %.*s\n", static_cast<int>(end), text.data());
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

  const TestOrder &order_;
  std::FILE *out_;
  std::vector<std::string> files_, failures_;
  std::size_t passed_ = 0, failed_ = 0, problems_ = 0;
};

}  // namespace

int run_tests(const TestOrder &order, std::FILE *out) { return Run{order, out}.all(); }

}  // namespace mansio::lua::tool
