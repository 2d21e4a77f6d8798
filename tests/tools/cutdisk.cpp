// cutdisk PLATTER MOUNTPOINT [SYNC_MICROSECONDS]: a FUSE file system that forgets unsynced writes when its power is
// cut.
//
// PLATTER, a directory, is what is on stable storage: read at the start, written after a cut. Orders come on standard
// input, a line each; the end of it unmounts. Answers go to standard output.
//   cut N SEED   the power goes during the N-th changing call from now on, and every later call fails with EIO.
//                "off" when it is gone; SEED decides what is left.
//   save         to the platter, once the power is off; "saved"
//   operations   how many changing calls there were
// A sync takes SYNC_MICROSECONDS, in which others write: of their data it promises nothing.
#define FUSE_USE_VERSION 314
#include <fuse.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <sstream>
#include <thread>

#include "tests/tools/cut_disk.hpp"

namespace {

using mansio::test::CutDisk;
using mansio::test::Entry;
namespace io = mansio::io;

struct Tool {
  CutDisk disk;
  std::chrono::microseconds sync;
  std::atomic<std::uint64_t> seed = 0;
  std::atomic<bool> said = false;
};

Tool &tool() { return *static_cast<Tool *>(fuse_get_context()->private_data); }

void say(const std::string &line) { std::cout << line << std::endl; }

// The result of a call, and the news if the power went during it.
int end(int rc) {
  auto &t = tool();
  if (t.disk.off() && !t.said.exchange(true)) say("off");
  return rc;
}
int end(const mansio::Result<void> &r) { return end(tool().disk.check(r)); }

io::File &file_of(const fuse_file_info *info) { return *reinterpret_cast<io::File *>(info->fh); }

Entry fresh(mode_t mode) {
  const auto *context = fuse_get_context();
  return {mode, context->uid, context->gid};
}

void *start(fuse_conn_info *, fuse_config *config) {
  config->kernel_cache = 1;  // nobody changes anything behind the kernel's back
  config->entry_timeout = config->attr_timeout = 3600;
  config->hard_remove = 1;
  say("ready");
  return fuse_get_context()->private_data;
}

int get_attributes(const char *path, struct stat *s, fuse_file_info *info) {
  std::memset(s, 0, sizeof *s);
  Entry entry{S_IFREG | 0600, 0, 0};
  if (path) {
    if (const int rc = tool().disk.find(path, entry); rc != 0) return rc;
  }
  std::uint64_t bytes = 0;
  if (info && info->fh) {
    if (const auto size = file_of(info).size()) bytes = *size;
  } else if (S_ISREG(entry.mode)) {
    if (const int rc = tool().disk.size(path, bytes); rc != 0) return end(rc);
  }
  s->st_mode = entry.mode;
  s->st_uid = entry.uid;
  s->st_gid = entry.gid;
  s->st_nlink = 1;
  s->st_size = static_cast<off_t>(bytes);
  s->st_blocks = static_cast<blkcnt_t>((bytes + 511) / 512);
  return 0;
}

int make_directory(const char *path, mode_t mode) { return end(tool().disk.make(path, fresh(S_IFDIR | mode))); }

int open_file(const char *path, const Entry *create, fuse_file_info *info) {
  std::unique_ptr<io::File> file;
  if (const int rc = tool().disk.open(path, create, file); rc != 0) return end(rc);
  info->fh = reinterpret_cast<std::uint64_t>(file.release());
  return 0;
}

int open_old(const char *path, fuse_file_info *info) { return open_file(path, nullptr, info); }

int create(const char *path, mode_t mode, fuse_file_info *info) {
  const auto entry = fresh(S_IFREG | (mode & 07777));
  return open_file(path, &entry, info);
}

int make_node(const char *path, mode_t mode, dev_t) {
  if (!S_ISREG(mode)) return end(tool().disk.make(path, fresh(mode)));
  const auto entry = fresh(mode);
  std::unique_ptr<io::File> file;
  return end(tool().disk.open(path, &entry, file));
}

int close_file(const char *, fuse_file_info *info) {
  delete &file_of(info);
  return 0;
}

int remove_name(const char *path) { return end(tool().disk.remove(path)); }

int rename_file(const char *from, const char *to, unsigned flags) {
  return flags != 0 ? -EINVAL : end(tool().disk.rename(from, to));
}

int change_mode(const char *path, mode_t mode, fuse_file_info *) {
  Entry entry;
  if (const int rc = tool().disk.find(path, entry); rc != 0) return rc;
  entry.mode = (entry.mode & S_IFMT) | (mode & 07777);
  return tool().disk.change(path, entry);
}

int change_owner(const char *path, uid_t uid, gid_t gid, fuse_file_info *) {
  Entry entry;
  if (const int rc = tool().disk.find(path, entry); rc != 0) return rc;
  if (uid != static_cast<uid_t>(-1)) entry.uid = uid;
  if (gid != static_cast<gid_t>(-1)) entry.gid = gid;
  return tool().disk.change(path, entry);
}

int change_times(const char *, const timespec *, fuse_file_info *) { return 0; }

int truncate_file(const char *path, off_t size, fuse_file_info *info) {
  if (info && info->fh) return end(file_of(info).truncate(static_cast<std::uint64_t>(size)));
  std::unique_ptr<io::File> file;
  if (const int rc = tool().disk.open(path, nullptr, file); rc != 0) return end(rc);
  return end(file->truncate(static_cast<std::uint64_t>(size)));
}

int read_file(const char *, char *to, std::size_t n, off_t offset, fuse_file_info *info) {
  const auto got = file_of(info).read_at(static_cast<std::uint64_t>(offset), to, n);
  return got ? static_cast<int>(*got) : end(mansio::Result<void>{got.error()});
}

int write_file(const char *, const char *from, std::size_t n, off_t offset, fuse_file_info *info) {
  const int rc = end(file_of(info).write_at(static_cast<std::uint64_t>(offset), std::string_view{from, n}));
  return rc == 0 ? static_cast<int>(n) : rc;
}

// The power may go before anything is on the platter, or after all is and nobody was told. What is written in the
// second half is not covered.
int sync_file(const char *, int, fuse_file_info *info) {
  std::this_thread::sleep_for(tool().sync / 2);
  if (const int rc = end(file_of(info).data_sync()); rc != 0) return rc;
  std::this_thread::sleep_for(tool().sync / 2);
  return end(tool().disk.off() ? -EIO : 0);
}

int sync_directory(const char *path, int, fuse_file_info *) { return end(tool().disk.sync_directory(path)); }

int list(const char *path, void *to, fuse_fill_dir_t fill, off_t, fuse_file_info *, fuse_readdir_flags) {
  std::vector<std::string> names;
  if (const int rc = tool().disk.list(path, names); rc != 0) return rc;
  for (const auto &name : names) fill(to, name.c_str(), nullptr, 0, static_cast<fuse_fill_dir_flags>(0));
  return 0;
}

int space(const char *, struct statvfs *s) {
  std::memset(s, 0, sizeof *s);
  s->f_bsize = s->f_frsize = 4096;
  s->f_blocks = s->f_bfree = s->f_bavail = 1u << 24;
  s->f_namemax = 255;
  return 0;
}

void obey(Tool &t) {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words{line};
    std::string order;
    std::uint64_t n = 0, seed = 0;
    words >> order >> n >> seed;
    if (order == "cut") {
      t.seed = seed;
      t.disk.cut_after(n);
    } else if (order == "save") {
      try {
        t.disk.save(t.seed);
        say("saved");
      } catch (const std::exception &e) {
        say(e.what());
      }
    } else if (order == "operations") {
      say(std::to_string(t.disk.operations()));
    }
  }
  ::kill(::getpid(), SIGTERM);  // libfuse unmounts and returns
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 3) {
    std::cerr << "usage: cutdisk PLATTER MOUNTPOINT [SYNC_MICROSECONDS]\n";
    return 2;
  }
  Tool t{CutDisk{argv[1]}, std::chrono::microseconds{argc > 3 ? std::atoi(argv[3]) : 0}};
  try {
    t.disk.load();
  } catch (const std::exception &e) {
    std::cerr << "cutdisk: " << e.what() << '\n';
    return 1;
  }
  fuse_operations calls{};
  calls.init = start;
  calls.getattr = get_attributes;
  calls.mkdir = make_directory;
  calls.mknod = make_node;
  calls.create = create;
  calls.open = open_old;
  calls.release = close_file;
  calls.unlink = remove_name;
  calls.rmdir = remove_name;
  calls.rename = rename_file;
  calls.chmod = change_mode;
  calls.chown = change_owner;
  calls.utimens = change_times;
  calls.truncate = truncate_file;
  calls.read = read_file;
  calls.write = write_file;
  calls.fsync = sync_file;
  calls.fsyncdir = sync_directory;
  calls.readdir = list;
  calls.statfs = space;
  sigset_t term, before;  // which is for this thread
  ::sigemptyset(&term);
  ::sigaddset(&term, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &term, &before);
  std::thread{[&t] { obey(t); }}.detach();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::string options = "allow_other,default_permissions,fsname=cutdisk,max_threads=16,max_idle_threads=16";
  char name[] = "cutdisk", foreground[] = "-f", o[] = "-o";
  char *arguments[] = {name, foreground, o, options.data(), argv[2], nullptr};
  const int rc = fuse_main(5, arguments, &calls, &t);
  // Not by way of main()'s end: the other thread still waits for orders, and files may be open that nobody will close.
  ::_exit(rc);
}
