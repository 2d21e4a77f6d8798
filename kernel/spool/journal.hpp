// Journal: the queue's outcomes and edits, in order, on stable storage soon after they were made.
//
// A file of records like a segment's (kernel/spool/segment.hpp): its epoch is the file's number, a record's id
// its sequence number. One thread writes and syncs, a batch at a time. Every start and every checkpoint begins a
// new file; so does an error of write or sync, with the batch that failed written anew. Replay begins at the
// newest complete checkpoint; a record written twice counts once.
//
// A checkpoint is written piece by piece while other entries go on: each of its parts stands in the stream where what
// it says was true. It counts once its end is synced, in the file in which it began; an error in between makes it void,
// and the next one begins anew.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kernel/base/log.hpp"
#include "kernel/base/result.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/file.hpp"
#include "kernel/spool/io_thread.hpp"
#include "kernel/spool/segment.hpp"

namespace mansio::spool {

struct JournalOptions {
  std::string directory;  // of the journal's files
  std::string reserve;    // path of the file given up when the disk is full
  std::uint64_t reserve_bytes = 16ull << 20;
  std::uint32_t node = 0;
  Nanos sync_interval = 50 * kMillisecond;
  std::uint64_t rotate_bytes = 64ull << 20;
  Turns *turns = nullptr;
};

struct Replayed {
  std::uint32_t last_file = 0;  // highest number seen
  std::uint64_t last_sequence = 0;
  std::uint64_t bytes = 0;  // of records replayed
  struct File {
    std::uint32_t number;
    std::uint64_t from, to;  // its last batch, of which nothing says that it was synced
  };
  std::vector<File> read;              // the files replayed, oldest first
  bool checkpoint = false;             // they begin with one that is complete: nothing older is needed
  std::uint64_t checkpoint_bytes = 0;  // of its parts
  std::uint64_t damaged = 0;           // places where records that had been synced are gone
  bool clean = false;                  // the last record is Clean
  bool active = true;                  // deliveries may have been under way
};
// Reads the journal without changing it. `each` gets Entry, Snapshot, Table and GivenUp records, oldest first.
Result<Replayed> replay_journal(io::FileSystem &files, const std::string &directory,
                                const std::function<void(RecordType, std::string_view)> &each);

// The payload of a CHECKPOINT record.
struct CheckpointEnd {
  std::uint32_t file = 0;   // in which it began
  std::uint64_t parts = 0;  // pieces of SNAPSHOT records, and TABLE records, before it
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.file, s.parts);
  }
};

class Journal {
 public:
  Journal(asio::io_context &loop, Logger &log, io::FileSystem &files, JournalOptions options);
  ~Journal();  // writes what it can

  // Begins a file after what was replayed.
  Result<void> start(const Replayed &replayed);

  std::uint64_t append(RecordType type, std::string_view payload);
  void hurry();  // do not wait for the interval
  // A checkpoint: `tables` begin a new file, parts follow, and the older files go once its end is synced.
  void begin_checkpoint(std::vector<std::string> tables);
  void snapshot(std::string_view payload);
  void end_checkpoint();
  // Never while there is one. `room`: bytes that the journal has to grow in; kPlenty: the disk is not full.
  static constexpr std::uint64_t kPlenty = UINT64_MAX;
  bool wants_checkpoint(std::uint64_t room) const;
  std::size_t unwritten() const { return unwritten_.load(std::memory_order_relaxed); }  // bytes that wait in memory
  std::uint64_t last_sequence() const { return sequence_; }
  std::uint64_t synced() const { return synced_.load(std::memory_order_acquire); }
  void on_synced(std::function<void(std::uint64_t)> callback) { callback_ = std::move(callback); }
  // A checkpoint is over: it is synced and counts, or it is void.
  void on_checkpoint(std::function<void(bool)> callback) { checkpointed_ = std::move(callback); }
  // Waits until all that was appended is synced. Blocks: for an orderly stop only.
  Result<void> flush();

 private:
  void enqueue(RecordType type, std::uint64_t sequence, std::string_view payload);
  void checkpoint_ended(bool complete);

  struct Item {
    RecordType type;
    std::uint64_t sequence;
    std::string payload;
  };
  struct Batch {
    bool new_file = false;
    std::vector<Item> items;
  };
  void run();
  void turn();
  void wake(Nanos after = 0);
  void begin();
  bool attempt(std::unique_lock<std::mutex> &lock);
  void void_checkpoint();
  Result<void> write(Batch &batch);
  Result<void> next_file();
  Result<void> open_file(std::uint32_t number);
  void remove_before(std::uint32_t number);
  bool give_up_reserve();
  std::string path(std::uint32_t number) const { return options_.directory + "/" + file_name(number); }
  std::string spare() const { return options_.directory + "/spare"; }
  void report(std::string text);

  asio::io_context &loop_;
  Logger &log_;
  io::FileSystem &files_;
  JournalOptions options_;
  std::function<void(std::uint64_t)> callback_;
  std::function<void(bool)> checkpointed_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // read on the loop only
  std::uint64_t sequence_ = 0;
  std::uint64_t since_checkpoint_ = 0, checkpoint_bytes_ = 0, files_since_checkpoint_ = 0;
  std::atomic<std::uint64_t> padding_{0};  // what pages took beyond that: most of the file when there is little to do
  std::uint64_t parts_ = 0;                // of the checkpoint being written
  bool checkpointing_ = false;

  // The thread's own.
  std::unique_ptr<io::File> file_;
  FileHeader header_;
  std::uint64_t end_ = 0, filled_ = 0;
  std::uint32_t number_ = 0;
  std::uint32_t checkpoint_file_ = 0;  // in which the checkpoint under way began; 0: none, or it is void

  std::atomic<std::uint64_t> synced_{0};
  std::atomic<std::size_t> unwritten_{0};
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::deque<Batch> queue_;
  Batch batch_;  // with the thread
  bool stop_ = false, hurry_ = false, writing_ = false, turn_due_ = false;
  bool started_ = false;
  std::string last_error_;
  std::thread thread_;
};

}  // namespace mansio::spool
