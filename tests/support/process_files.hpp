// A process's view of a disk: killed, it does nothing more there, while the disk and other processes go on. It can be
// killed from outside, or by itself right after any call that changes the disk: between a write and its sync, or in
// the middle of a write. What it wrote until then is in the page cache and nowhere else.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/io/file.hpp"

namespace mansio::test {

struct Killed {};  // thrown by the call after which a process is no more

class ProcessFiles final : public io::FileSystem {
 public:
  explicit ProcessFiles(io::FileSystem &disk) : disk_(disk) {}
  void kill() { life_->alive = false; }
  bool alive() const { return life_->alive; }
  // kill -9 arrives at the n-th changing call from now on, which is done; of a write maybe whole pages of it only.
  void kill_after(std::uint64_t n, bool in_part) {
    life_->left = n;
    life_->in_part = in_part;
  }

  Result<std::unique_ptr<io::File>> open(const std::string &path, io::OpenMode mode) override {
    if (!alive()) return gone();
    const bool changes = mode == io::OpenMode::Create || mode == io::OpenMode::CreateExclusive;
    auto file = disk_.open(path, mode);
    if (changes) life_->changed();
    if (!file) return file.error();
    return std::unique_ptr<io::File>{std::make_unique<Open>(std::move(*file), life_)};
  }
  std::unique_ptr<io::File> adopt(io::UniqueFd fd, std::string name) override {
    return std::make_unique<Open>(disk_.adopt(std::move(fd), std::move(name)), life_);
  }
  Result<void> rename(const std::string &from, const std::string &to) override {
    return life_->change([&] { return disk_.rename(from, to); });
  }
  Result<void> remove(const std::string &path) override {
    return life_->change([&] { return disk_.remove(path); });
  }
  Result<void> make_directory(const std::string &path) override {
    return alive() ? disk_.make_directory(path) : gone();
  }
  Result<std::vector<std::string>> list(const std::string &path) override {
    if (!alive()) return gone();
    return disk_.list(path);
  }
  Result<void> sync_directory(const std::string &path) override {
    return life_->change([&] { return disk_.sync_directory(path); });
  }
  Result<io::Space> space(const std::string &path) override {
    if (!alive()) return gone();
    return disk_.space(path);
  }
  Result<io::UniqueFd> lock(const std::string &path, std::string_view text) override {
    if (!alive()) return gone();
    return disk_.lock(path, text);
  }

 private:
  static constexpr std::size_t kPage = 4096;
  static Error gone() { return {Status::Internal, "the process is gone"}; }

  struct Life {
    bool alive = true, in_part = false;
    std::uint64_t left = 0;  // 0: nobody kills it
    bool last() const { return left == 1; }
    void changed() {
      if (left == 0 || --left > 0) return;
      alive = false;
      throw Killed{};
    }
    template <class F>
    Result<void> change(F &&call) {
      if (!alive) return gone();
      auto result = call();
      changed();
      return result;
    }
  };

  class Open final : public io::File {
   public:
    Open(std::unique_ptr<io::File> file, std::shared_ptr<Life> life) : file_(std::move(file)), life_(std::move(life)) {}
    Result<std::size_t> read_at(std::uint64_t offset, char *to, std::size_t n) override {
      if (!life_->alive) return gone();
      return file_->read_at(offset, to, n);
    }
    Result<void> write_at(std::uint64_t offset, std::string_view bytes) override {
      return life_->change(
          [&] { return file_->write_at(offset, life_->last() && life_->in_part ? half(bytes) : bytes); });
    }
    Result<void> write_at(std::uint64_t offset, const std::vector<std::string_view> &pieces) override {
      return life_->change([&] {
        if (!life_->last() || !life_->in_part) return file_->write_at(offset, pieces);
        std::string all;
        for (const auto piece : pieces) all.append(piece);
        return file_->write_at(offset, half(all));
      });
    }
    Result<void> data_sync() override {
      return life_->change([&] { return file_->data_sync(); });
    }
    Result<std::uint64_t> size() override {
      if (!life_->alive) return gone();
      return file_->size();
    }
    Result<void> zero_fill(std::uint64_t from, std::uint64_t to) override {
      return life_->change([&] { return file_->zero_fill(from, to); });
    }
    Result<void> truncate(std::uint64_t size) override { return life_->alive ? file_->truncate(size) : gone(); }
    Result<io::UniqueFd> duplicate(bool read_only) override {
      if (!life_->alive) return gone();
      return file_->duplicate(read_only);
    }
    Result<bool> shared() override {
      if (!life_->alive) return gone();
      return file_->shared();
    }
    Result<bool> forget_pages() override {
      if (!life_->alive) return gone();
      return file_->forget_pages();
    }

   private:
    static std::string_view half(std::string_view bytes) { return bytes.substr(0, bytes.size() / kPage / 2 * kPage); }

    std::unique_ptr<io::File> file_;
    std::shared_ptr<Life> life_;
  };

  io::FileSystem &disk_;
  std::shared_ptr<Life> life_ = std::make_shared<Life>();
};

}  // namespace mansio::test
