#include "kernel/ingress/recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace mansio::ingress {
namespace {

constexpr std::string_view kRecordingEnding = ".jsonl";

// 20261122T043300.123Z
std::string time_in_name(Nanos wall) {
  auto text = rfc3339(wall);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

}  // namespace

class Recorder::File {
 public:
  File(std::string path, std::uint32_t generation) : path_(std::move(path)), generation_(generation) {}

 private:
  friend class Recorder;
  const std::string path_;
  const std::uint32_t generation_;
  std::uint64_t size_ = 0;  // the loop's: of all that it was given
  // The thread's.
  std::unique_ptr<io::File> file_;
  std::uint64_t written_ = 0;
};

struct Recorder::Job {
  Batch batch;
  Result<void> result;
};

// Of the last one who has a file: to close it may take the disk's time, too.
struct Recorder::Close {
  Recorder *recorder;
  std::weak_ptr<bool> alive;
  void operator()(File *file) const {
    if (alive.expired() || !file->file_)
      delete file;
    else
      recorder->thread_->run([file] { delete file; }, nullptr);
  }
};

Recorder::Recorder(asio::io_context &loop, const Clock &clock, Logger &log, Options options, io::FileSystem *files,
                   spool::Turns *turns)
    : clock_(clock),
      log_(log),
      options_(std::move(options)),
      own_files_(files == nullptr ? io::system_files() : nullptr),
      files_(files == nullptr ? *own_files_ : *files),
      run_(options_.process + '@' + time_in_name(clock.wall())),
      thread_(std::make_unique<spool::IoThread>(loop, false, turns)) {}

Recorder::~Recorder() {
  alive_.reset();
  if (batch_.empty()) return;
  const auto last = std::make_shared<Batch>(std::move(batch_));
  thread_->run([this, last] { [[maybe_unused]] const auto ignored = put(*last); }, nullptr);
}

std::shared_ptr<Recorder::File> Recorder::begin() {
  if (rests_until_ != 0 && clock_.mono() < rests_until_) return nullptr;
  rests_until_ = 0;
  if (!current_ || current_->size_ >= options_.size_limit) current_ = open_next();
  if (current_->generation_ != generation_) current_.reset();  // there was no room for its first line
  if (current_) ++counters_.sessions;
  return current_;
}

std::shared_ptr<Recorder::File> Recorder::open_next() {
  auto path = fmt::format("{}/{}-{}-{}{}", options_.directory, options_.process, time_in_name(clock_.wall()), ++number_,
                          kRecordingEnding);
  std::shared_ptr<File> file{new File{std::move(path), generation_}, Close{this, alive_}};
  std::string head = R"({"mansio_recording":1,"process":)";
  append_json_string(head, run_);
  write(file, head + "}\n");
  return file;
}

bool Recorder::write(const std::shared_ptr<File> &file, std::string line) {
  if (file->generation_ != generation_) return false;
  // One session may go on for days; the file that it began in does not grow for as long.
  if (file->size_ > 2 * options_.size_limit) return false;
  if (waiting_ + line.size() > options_.memory) {
    stop("its disk is too slow");
    return false;
  }
  waiting_ += line.size();
  file->size_ += line.size();
  counters_.bytes += line.size();
  batch_.emplace_back(file, std::move(line));
  pump();
  return true;
}

void Recorder::pump() {
  if (busy_ || batch_.empty()) return;
  busy_ = true;
  const auto job = std::make_shared<Job>();
  job->batch.swap(batch_);
  thread_->run([this, job] { job->result = put(job->batch); }, [this, job] { written(*job); });
}

void Recorder::written(const Job &job) {
  busy_ = false;
  for (const auto &[file, line] : job.batch) waiting_ -= line.size();
  const bool old = job.batch.back().first->generation_ != generation_;  // of files that something else has ended
  if (!old && !job.result) {
    stop(job.result.error().text);
  } else if (!old && std::exchange(failed_, false)) {
    counters_.recording = true;
    log_.info("sessions are recorded again", {{"directory", options_.directory}});
  }
  pump();
}

void Recorder::stop(const std::string &why) {
  ++generation_;
  current_.reset();
  for (const auto &[file, line] : batch_) waiting_ -= line.size();
  batch_.clear();
  rests_until_ = clock_.mono() + options_.rest;
  counters_.recording = false;
  if (std::exchange(failed_, true)) return;
  log_.warn("sessions are not recorded", {{"directory", options_.directory},
                                          {"reason", why},
                                          {"advice", "mail is not concerned; recording is tried again by itself"}});
}

Result<void> Recorder::put(const Batch &batch) {
  for (std::size_t i = 0; i < batch.size();) {
    auto &file = *batch[i].first;
    if (!file.file_) {
      if (auto created = create(file); !created) return created;
    }
    std::vector<std::string_view> pieces;
    std::uint64_t size = 0;
    for (; i < batch.size() && batch[i].first.get() == &file; ++i) {
      pieces.push_back(batch[i].second);
      size += batch[i].second.size();
    }
    const auto space = files_.space(options_.directory);
    if (!space) return space.error();
    if (space->free < options_.keep_free + size)
      return Error{Status::Busy, "the disk has no more room than mail may need"};
    if (auto put = file.file_->write_at(file.written_, pieces); !put) return put;
    file.written_ += size;
  }
  return {};
}

Result<void> Recorder::create(File &file) {
  if (auto made = files_.make_directory(options_.directory); !made) return made;
  const auto so_far = recorded_so_far();
  if (!so_far) return so_far.error();
  if (*so_far + options_.size_limit > options_.total_limit)
    return Error{Status::Busy, fmt::format("the recordings there have {} bytes: another might exceed "
                                           "record_total_limit; remove some",
                                           *so_far)};
  auto opened = files_.open(file.path_, io::OpenMode::CreateExclusive);  // mode 0600
  if (!opened) return opened.error();
  file.file_ = std::move(*opened);
  return {};
}

Result<std::uint64_t> Recorder::recorded_so_far() {
  const auto names = files_.list(options_.directory);
  if (!names) return names.error();
  std::uint64_t sum = 0;
  for (const auto &name : *names) {
    if (!name.ends_with(kRecordingEnding)) continue;
    const auto file = files_.open(options_.directory + '/' + name, io::OpenMode::Read);
    if (!file) continue;  // removed meanwhile, or not ours to read
    if (const auto size = (*file)->size()) sum += *size;
  }
  return sum;
}

}  // namespace mansio::ingress
