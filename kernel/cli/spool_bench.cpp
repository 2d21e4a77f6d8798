#include "kernel/cli/spool_bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "kernel/spool/segment.hpp"

namespace mansio::cli {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::uint64_t kFileBytes = 64ull << 20;  // a segment's

std::uint64_t micros(Steady::duration d) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(d).count());
}

class Disk {
 public:
  Disk(io::FileSystem &files, std::string path) : files_(files), path_(std::move(path)) {}
  ~Disk() { (void)files_.remove(path_); }
  Disk(const Disk &) = delete;
  Disk &operator=(const Disk &) = delete;

  // As a segment is made (`filled`), or empty, so that each write makes the file longer.
  Result<void> begin(bool filled) {
    file_.reset();
    (void)files_.remove(path_);
    auto file = files_.open(path_, io::OpenMode::CreateExclusive);
    if (!file) return file.error();
    file_ = std::move(*file);
    at_ = 0;
    if (!filled) return {};
    if (auto r = file_->zero_fill(0, kFileBytes); !r) return r;
    return file_->data_sync();
  }
  // One batch as a writer writes it: whole pages, one after the other, then a sync. The time of the sync alone goes
  // into `syncs`.
  Result<void> batch(std::uint64_t bytes, load::Histogram &syncs) {
    bytes = std::min(spool::round_up(bytes, spool::kPage), kFileBytes);
    content_.resize(bytes, 'm');
    if (at_ + bytes > kFileBytes) at_ = 0;
    if (auto r = file_->write_at(at_, content_); !r) return r;
    at_ += bytes;
    const auto begin = Steady::now();
    auto r = file_->data_sync();
    syncs.add(micros(Steady::now() - begin));
    return r;
  }

 private:
  io::FileSystem &files_;
  std::string path_, content_;
  std::unique_ptr<io::File> file_;
  std::uint64_t at_ = 0;
};

}  // namespace

Result<load::Histogram> measure_syncs(io::FileSystem &files, const std::string &directory, double seconds) {
  Disk disk{files, directory + "/bench"};
  if (auto r = disk.begin(true); !r) return r.error();
  load::Histogram syncs;
  const auto end = Steady::now() + std::chrono::duration<double>{seconds};
  do {
    if (auto r = disk.batch(1, syncs); !r) return r.error();
  } while (Steady::now() < end);
  return syncs;
}

Result<void> bench_spool(io::FileSystem &files, const std::string &directory, const SpoolBench &bench,
                         const std::function<void(std::string_view)> &out) {
  Disk disk{files, directory + "/bench"};
  std::uint64_t median = 0;
  double alone = 0, best = 0;
  const auto measure = [&](std::string_view what, std::uint64_t messages, bool filled) -> Result<void> {
    if (auto r = disk.begin(filled); !r) return r;
    load::Histogram syncs;
    const auto begin = Steady::now();
    const auto length = std::chrono::duration<double>{bench.seconds};
    do {
      if (auto r = disk.batch(messages * bench.message_bytes, syncs); !r) return r;
    } while (Steady::now() - begin < length);
    const auto rate = static_cast<double>(syncs.count()) / std::chrono::duration<double>(Steady::now() - begin).count();
    const auto mail = rate * static_cast<double>(messages);
    out(fmt::format("{:<34} {:>8} {:>8} {:>8} {:>8} {:>9.0f} {:>11.0f}\n", what, syncs.quantile(0.5),
                    syncs.quantile(0.9), syncs.quantile(0.99), syncs.max(), rate, mail));
    if (messages == 1 && filled) median = syncs.quantile(0.5), alone = mail;
    best = std::max(best, mail);
    return {};
  };
  out(fmt::format("{}: messages of {} bytes, {:g} s a line; times of a sync in microseconds\n", directory,
                  bench.message_bytes, bench.seconds));
  out(fmt::format("{:<34} {:>8} {:>8} {:>8} {:>8} {:>9} {:>11}\n", "", "median", "90 %", "99 %", "longest", "syncs/s",
                  "messages/s"));
  for (const std::uint64_t messages : {1, 4, 16, 64, 256}) {
    const auto what = messages == 1 ? std::string{"one message a sync"} : fmt::format("{} messages a sync", messages);
    if (auto r = measure(what, messages, true); !r) return r;
  }
  if (auto r = measure("one message, file not prepared", 1, false); !r) return r;
  out(fmt::format("group commit is worth {:.0f} times the rate of a sync for each message here\n",
                  alone > 0 ? best / alone : 0));
  if (median < kImplausibleSync)
    out("warning: no disk syncs so fast. What the spool lies on may not keep what it was told to keep (a file system "
        "in "
        "memory, a virtual disk or controller that ignores flushes): mail can be lost in a power cut\n");
  return {};
}

}  // namespace mansio::cli
