// Runs a fuzz target over every file of its corpus, so that ordinary builds replay what fuzzing found.
// An empty or missing corpus is a failure: a test that runs nothing must show.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);

int main(int argc, char **argv) {
  std::size_t n = 0;
  for (int i = 1; i < argc; ++i) {
    std::error_code error;
    for (const auto &entry : std::filesystem::recursive_directory_iterator{argv[i], error}) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in{entry.path(), std::ios::binary};
      const std::vector<char> bytes{std::istreambuf_iterator<char>{in}, {}};
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t *>(bytes.data()), bytes.size());
      ++n;
    }
  }
  std::printf("%zu inputs replayed\n", n);
  return n == 0;
}
