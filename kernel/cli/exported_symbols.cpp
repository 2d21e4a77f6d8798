#include "kernel/cli/exported_symbols.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstdint>

namespace mansio::cli {
namespace {

// How many symbols the table has is written nowhere; the hash table knows the last one.
std::size_t count_by_gnu_hash(const std::uint32_t *table) {
  const auto buckets = table[0], offset = table[1], bloom = table[2];
  const auto *bucket = table + 4 + std::size_t{bloom} * (sizeof(ElfW(Addr)) / sizeof(std::uint32_t));
  const auto *chain = bucket + buckets;
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i < buckets; ++i) last = std::max(last, bucket[i]);
  if (last < offset) return offset;
  while ((chain[last - offset] & 1) == 0) ++last;
  return last + 1;
}

}  // namespace

Result<std::vector<std::string>> exported_symbols(const std::string &path) {
  void *handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  link_map *map = nullptr;
  if (!handle || ::dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0)
    return Error{Status::Fail, std::string{"not loaded: "} + ::dlerror()};
  const ElfW(Sym) *symbols = nullptr;
  const char *names = nullptr;
  std::size_t count = 0;
  for (const auto *entry = map->l_ld; entry->d_tag != DT_NULL; ++entry) {
    const auto at = entry->d_un.d_ptr;  // a number, though the loader has made an address of it
    // NOLINTBEGIN(performance-no-int-to-ptr)
    if (entry->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const ElfW(Sym) *>(at);
    if (entry->d_tag == DT_STRTAB) names = reinterpret_cast<const char *>(at);
    if (entry->d_tag == DT_GNU_HASH) count = count_by_gnu_hash(reinterpret_cast<const std::uint32_t *>(at));
    if (entry->d_tag == DT_HASH && count == 0) count = reinterpret_cast<const std::uint32_t *>(at)[1];
    // NOLINTEND(performance-no-int-to-ptr)
  }
  std::vector<std::string> out;
  if (!symbols || !names) return out;
  for (std::size_t i = 1; i < count; ++i) {
    const auto &symbol = symbols[i];
    const auto binding = ELF64_ST_BIND(symbol.st_info);
    if (symbol.st_shndx != SHN_UNDEF && symbol.st_shndx != SHN_ABS && (binding == STB_GLOBAL || binding == STB_WEAK))
      out.emplace_back(names + symbol.st_name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace mansio::cli
