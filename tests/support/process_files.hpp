// A process's view of a disk: killed, it does nothing more there, while the disk and other processes go on.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernel/io/file.hpp"

namespace mansio::test {

class ProcessFiles final : public io::FileSystem {
 public:
  explicit ProcessFiles(io::FileSystem &disk) : disk_(disk) {}
  void kill() { *alive_ = false; }

  Result<std::unique_ptr<io::File>> open(const std::string &path, io::OpenMode mode) override {
    if (!*alive_) return gone();
    auto file = disk_.open(path, mode);
    if (!file) return file.error();
    return std::unique_ptr<io::File>{std::make_unique<Open>(std::move(*file), alive_)};
  }
  std::unique_ptr<io::File> adopt(io::UniqueFd fd, std::string name) override {
    return std::make_unique<Open>(disk_.adopt(std::move(fd), std::move(name)), alive_);
  }
  Result<void> rename(const std::string &from, const std::string &to) override {
    return *alive_ ? disk_.rename(from, to) : gone();
  }
  Result<void> remove(const std::string &path) override { return *alive_ ? disk_.remove(path) : gone(); }
  Result<void> make_directory(const std::string &path) override {
    return *alive_ ? disk_.make_directory(path) : gone();
  }
  Result<std::vector<std::string>> list(const std::string &path) override {
    if (!*alive_) return gone();
    return disk_.list(path);
  }
  Result<void> sync_directory(const std::string &path) override {
    return *alive_ ? disk_.sync_directory(path) : gone();
  }
  Result<io::Space> space(const std::string &path) override {
    if (!*alive_) return gone();
    return disk_.space(path);
  }
  Result<io::UniqueFd> lock(const std::string &path, std::string_view text) override {
    if (!*alive_) return gone();
    return disk_.lock(path, text);
  }

 private:
  static Error gone() { return {Status::Internal, "the process is gone"}; }

  class Open final : public io::File {
   public:
    Open(std::unique_ptr<io::File> file, std::shared_ptr<bool> alive)
        : file_(std::move(file)), alive_(std::move(alive)) {}
    Result<std::size_t> read_at(std::uint64_t offset, char *to, std::size_t n) override {
      if (!*alive_) return gone();
      return file_->read_at(offset, to, n);
    }
    Result<void> write_at(std::uint64_t offset, std::string_view bytes) override {
      return *alive_ ? file_->write_at(offset, bytes) : gone();
    }
    Result<void> write_at(std::uint64_t offset, const std::vector<std::string_view> &pieces) override {
      return *alive_ ? file_->write_at(offset, pieces) : gone();
    }
    Result<void> data_sync() override { return *alive_ ? file_->data_sync() : gone(); }
    Result<std::uint64_t> size() override {
      if (!*alive_) return gone();
      return file_->size();
    }
    Result<void> zero_fill(std::uint64_t from, std::uint64_t to) override {
      return *alive_ ? file_->zero_fill(from, to) : gone();
    }
    Result<void> truncate(std::uint64_t size) override { return *alive_ ? file_->truncate(size) : gone(); }
    Result<io::UniqueFd> duplicate(bool read_only) override {
      if (!*alive_) return gone();
      return file_->duplicate(read_only);
    }
    Result<bool> shared() override {
      if (!*alive_) return gone();
      return file_->shared();
    }

   private:
    std::unique_ptr<io::File> file_;
    std::shared_ptr<bool> alive_;
  };

  io::FileSystem &disk_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace mansio::test
