#include "kernel/spool/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "kernel/spool/messages.hpp"

namespace mansio::spool {
namespace {

struct Opened {
  std::unique_ptr<io::File> file;
  std::uint32_t number = 0;
  Result<FileHeader> header = Error{Status::Fail, "unreadable"};
};

// Files of one folder by number. A file that cannot be opened is an Opened without a file.
Result<std::vector<Opened>> open_all(io::FileSystem &files, const std::string &directory) {
  auto names = files.list(directory);
  if (!names) return names.error();
  std::vector<Opened> out;
  for (const auto &file_name : *names) {
    const auto number = parse_file_name(file_name);
    if (!number) continue;
    Opened o;
    o.number = *number;
    auto file = files.open(directory + "/" + file_name, io::OpenMode::Read);
    if (!file) {
      o.header = file.error();
      out.push_back(std::move(o));
      continue;
    }
    o.file = std::move(*file);
    std::string page(kPage, '\0');
    auto n = o.file->read_at(0, page.data(), page.size());
    if (n) {
      page.resize(*n);
      o.header = parse_header(page);
      if (o.header && o.header->number != o.number) o.header = Error{Status::Fail, "the header names another file"};
    } else {
      o.header = n.error();
    }
    out.push_back(std::move(o));
  }
  return out;
}

Opened *find(std::vector<Opened> &all, const Place &place) {
  for (auto &o : all) {
    if (o.header && o.number == place.segment && o.header->epoch == place.epoch) return &o;
  }
  return nullptr;
}

class Inspector {
 public:
  Inspector(const std::function<void(const std::string &)> &problem, Inspection &out) : problem_(problem), out_(out) {}

  void segments(std::vector<Opened> &all) {
    for (auto &o : all) {
      ++out_.segments;
      if (!o.header) {
        if (o.header.error().status != Status::NotFound || (o.file && !empty(o)))
          wrong(fmt::format("segment {:08x}: {}", o.number, o.header.error().text));
        continue;
      }
      if (o.header->epoch == 0)
        ++out_.free_segments;
      else
        segment(o, all);
    }
  }

  void count_messages() {
    std::sort(whole_.begin(), whole_.end());
    const auto copies = whole_.end() - std::unique(whole_.begin(), whole_.end());
    out_.copies = static_cast<std::uint64_t>(copies);
    out_.messages = whole_.size() - out_.copies;
  }

  void journal(std::vector<Opened> &all) {
    for (auto &o : all) {
      ++out_.journal_files;
      if (!o.header) {
        if (o.header.error().status != Status::NotFound && !(o.file && empty(o, kFirstRecord)))
          wrong(fmt::format("journal {:08x}: {}", o.number, o.header.error().text));
        continue;
      }
      FileBytes bytes{*o.file};
      const auto scan = scan_records(bytes, *o.header, kFirstRecord, [&](const Record &) { ++out_.journal_records; });
      gaps(scan, "journal", o.number, bytes.read_errors());
    }
  }

 private:
  void segment(Opened &o, std::vector<Opened> &all) {
    FileBytes bytes{*o.file};
    if (holds_large_body(bytes, *o.header)) return;  // verified with its COMMIT
    std::vector<FoundCommit> broken;
    const auto report = find_messages(bytes, *o.header, 0, true, [&](const FoundCommit &found) {
      if (!found.intact) {
        broken.push_back(found);
        return;
      }
      if (found.body_elsewhere) {
        auto *large = find(all, found.message.body);
        if (!large) return;  // given up because the message was done
        FileBytes body{*large->file};
        if (!large_body_intact(body, *large->header, found.message, found.commit)) {
          if (found.commit.body_synced)
            wrong(fmt::format("message {}: body damaged", to_string(found.message.id)));
          else
            ++out_.fragments;
          return;
        }
      }
      if (const auto envelope = decode_envelope(found.envelope); !envelope) {
        wrong(fmt::format("message {}: envelope: {}", to_string(found.message.id), envelope.error().text));
        return;
      }
      whole_.push_back(found.message.id.value);
    });
    for (const auto &found : broken) {
      if (found.message.commit.offset >= report.scan.synced)
        ++out_.fragments;
      else
        wrong(fmt::format("message {}: records damaged in segment {:08x}", to_string(found.message.id), o.number));
    }
    gaps(report.scan, "segment", o.number, bytes.read_errors());
    if (report.missing > 0) wrong(fmt::format("segment {:08x}: {} commits are missing", o.number, report.missing));
  }

  void gaps(const Scan &scan, std::string_view what, std::uint32_t number, bool read_errors) {
    if (read_errors) wrong(fmt::format("{} {:08x}: read error", what, number));
    for (const auto &gap : scan.gaps) {
      if (gap.damage) wrong(fmt::format("{} {:08x}: damaged from {} to {}", what, number, gap.from, gap.to));
    }
  }
  static bool empty(Opened &o, std::uint64_t from = 0) {
    FileBytes bytes{*o.file};
    return all_zero(bytes, from);
  }
  void wrong(const std::string &text) {
    ++out_.problems;
    problem_(text);
  }

  const std::function<void(const std::string &)> &problem_;
  Inspection &out_;
  std::vector<std::uint64_t> whole_;  // ids
};

}  // namespace

Result<Inspection> inspect_spool(io::FileSystem &files, const std::string &directory,
                                 const std::function<void(const std::string &)> &problem) {
  auto segments = open_all(files, directory + "/segments");
  if (!segments) return segments.error();
  auto journal = open_all(files, directory + "/journal");
  if (!journal) return journal.error();
  Inspection out;
  Inspector inspector{problem, out};
  inspector.segments(*segments);
  inspector.count_messages();
  inspector.journal(*journal);
  return out;
}

Result<void> dump_spool(io::FileSystem &files, const std::string &directory,
                        const std::function<void(const DumpedRecord &)> &each) {
  for (const auto *folder : {"/segments", "/journal"}) {
    auto all = open_all(files, directory + folder);
    if (!all) return all.error();
    for (auto &o : *all) {
      if (!o.header || o.header->epoch == 0) continue;
      FileBytes bytes{*o.file};
      scan_records(bytes, *o.header, kFirstRecord, [&](const Record &r) {
        DumpedRecord d;
        d.file = o.header->kind;
        d.number = o.number;
        d.epoch = o.header->epoch;
        d.offset = r.payload;
        d.header = r.header;
        if (r.header.type == RecordType::Envelope) {
          if (auto envelope = decode_envelope(payload_of(bytes, r))) d.envelope = std::move(*envelope);
        } else if (r.header.type == RecordType::Commit) {
          d.commit = parse_commit(payload_of(bytes, r), {d.number, d.epoch, r.payload, r.header.length});
        }
        each(d);
      });
    }
  }
  return {};
}

Result<void> copy_message(io::FileSystem &files, const std::string &directory, MessageId id,
                          std::optional<std::uint32_t> segment,
                          const std::function<void(const Committed &, const Envelope &)> &head,
                          const std::function<bool(std::string_view)> &out) {
  auto all = open_all(files, directory + "/segments");
  if (!all) return all.error();
  std::vector<Opened *> order;
  for (auto &o : *all)
    if (o.header && o.header->epoch != 0) order.push_back(&o);
  std::stable_partition(order.begin(), order.end(), [&](const Opened *o) { return o->number == segment; });
  Error error{Status::NotFound, "no such message"};
  for (auto *o : order) {
    FileBytes bytes{*o->file};
    std::optional<FoundCommit> wanted;
    (void)find_messages(bytes, *o->header, 0, true, [&](const FoundCommit &found) {
      if (found.message.id == id) wanted = found;
    });
    if (!wanted) continue;
    auto *holder = find(*all, wanted->message.body);
    const auto envelope = decode_envelope(wanted->envelope);
    if (!wanted->intact || !holder || !envelope) {  // a copy of it may be whole
      error = {Status::Fail, "the message is damaged, or its body was given up"};
      continue;
    }
    FileBytes body{*holder->file};
    if (wanted->body_elsewhere && !large_body_intact(body, *holder->header, wanted->message, wanted->commit)) {
      error = {Status::Fail, "the body is damaged"};
      continue;
    }
    head(wanted->message, *envelope);
    const auto &place = wanted->message.body;
    for (std::uint64_t at = 0; at < place.length;) {
      const auto part = body.view(place.offset + at, place.length - at);
      if (part.empty() || !out(part)) return Error{Status::Fail, "the body cannot be copied"};
      at += part.size();
    }
    return {};
  }
  return error;
}

Result<void> copy_body(io::FileSystem &files, const std::string &directory, MessageId id,
                       const std::function<bool(std::string_view)> &out) {
  return copy_message(
      files, directory, id, std::nullopt, [](const Committed &, const Envelope &) {}, out);
}

std::string_view name(RecordType type) {
  switch (type) {
    case RecordType::Body:
      return "BODY";
    case RecordType::Envelope:
      return "ENVELOPE";
    case RecordType::Commit:
      return "COMMIT";
    case RecordType::Seal:
      return "SEAL";
    case RecordType::Entry:
      return "ENTRY";
    case RecordType::Snapshot:
      return "SNAPSHOT";
    case RecordType::Table:
      return "TABLE";
    case RecordType::Checkpoint:
      return "CHECKPOINT";
    case RecordType::Active:
      return "ACTIVE";
    case RecordType::Clean:
      return "CLEAN";
    case RecordType::GivenUp:
      return "GIVENUP";
  }
  return "unknown";
}

}  // namespace mansio::spool
