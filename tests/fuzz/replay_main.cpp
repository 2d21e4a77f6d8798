// fuzz-replay NAME FOLDER...: runs one fuzz target over every file of its corpus, so that ordinary builds replay what
// fuzzing found. An empty or missing corpus is a failure: a test that runs nothing must show.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

#include "tests/fuzz/target.hpp"

int main(int argc, char **argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: fuzz-replay NAME FOLDER...\n");
    return 2;
  }
  const auto *target = mansio::fuzz::Target::find(argv[1]);
  if (!target) {
    std::fprintf(stderr, "there is no fuzz target %s\n", argv[1]);
    return 1;
  }
  for (int i = 2; i < argc; ++i) {
    std::error_code error;
    std::size_t n = 0;
    for (const auto &entry : std::filesystem::recursive_directory_iterator{argv[i], error}) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in{entry.path(), std::ios::binary};
      target->run(std::vector<char>{std::istreambuf_iterator<char>{in}, {}});
      ++n;
    }
    if (error) {
      std::fprintf(stderr, "cannot read %s: %s\n", argv[i], error.message().c_str());
      return 1;
    }
    if (n == 0) {
      std::fprintf(stderr, "there is no input in %s\n", argv[i]);
      return 1;
    }
    std::printf("%s: %zu inputs of %s replayed\n", argv[1], n, argv[i]);
  }
  return 0;
}
