// mansio/store.hpp: plugins that keep a second copy of all mail (mansio/draft/store.h) as C++20, header-only.
//
//   class Shelf {
//    public:
//     static constexpr mansio::plugin::Info info{"store-shelf", "1.0", MANSIO_NEEDS_STATE, MANSIO_BLOCKING};
//     static constexpr mansio_option options[] = {{}};
//     explicit Shelf(mansio::plugin::Host host) : host_(host) {}
//     mansio::plugin::Reply commit(const mansio::plugin::StoreCommit &message) {
//       if (!write_and_sync(message.id, message.content(host_))) return mansio::plugin::defer("the shelf is full");
//       return mansio::plugin::kept();
//     }
//     mansio::plugin::Reply outcome(const mansio::plugin::StoreOutcome &outcome);  // kept()
//     mansio::plugin::Reply read(const mansio::plugin::StoreRead &request);        // part(), not_found()
//     mansio::plugin::Reply scan(const mansio::plugin::StoreScan &request);        // page()
//     ...
//   };
//   MANSIO_STORE_PLUGIN(Shelf)
//
// Each of the four is as here, which answers at once (or, with MANSIO_BLOCKING, when it likes), or takes its request by
// value and a Token and returns void, and answers later, as in mansio/plugin.hpp. Besides, if it likes: `void
// cancel(mansio_op)`. kept() promises stable storage: a write is not enough, neither is a rename without a sync of the
// directory.
//
// The kind is a draft: a plugin loads only where MANSIO_DRAFT_BUILD is the host's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mansio/draft/store.h"
#include "mansio/plugin.hpp"

namespace mansio::plugin {

// mansio_store_commit, owned.
struct StoreCommit {
  std::string id;
  std::uint64_t length = 0;
  std::int64_t deadline = 0;  // monotonic ns
  mansio_op op{};             // by which what is to be kept is read, until the answer

  StoreCommit() = default;
  StoreCommit(mansio_op by, const mansio_store_commit &borrowed) : op(by) {
    const auto c = read_record<mansio_store_commit>(&borrowed);
    id = view(c.id);
    length = c.length;
    deadline = c.deadline;
  }
  // f(octets) for one piece after the other, until one returns false; false then, or when they cannot be read.
  template <class F>
  bool each_piece(const Host &host, F f) const {
    std::string piece(64 * 1024, '\0');
    for (std::uint64_t at = 0; at < length;) {
      const auto n = host.read(op, at, piece.data(), piece.size());
      if (n <= 0 || !f(std::string_view{piece.data(), static_cast<std::size_t>(n)})) return false;
      at += static_cast<std::uint64_t>(n);
    }
    return true;
  }
  // All of it; nothing when it cannot be read.
  std::optional<std::string> content(const Host &host) const {
    std::string all;
    const auto add = [&](std::string_view piece) {
      all += piece;
      return true;
    };
    return each_piece(host, add) ? std::optional{std::move(all)} : std::nullopt;
  }
};

// mansio_store_outcome, owned.
struct StoreOutcome {
  std::string id, record;
  std::uint64_t sequence = 0;
  bool last = false;
  std::int64_t deadline = 0;  // monotonic ns

  StoreOutcome() = default;
  explicit StoreOutcome(const mansio_store_outcome &borrowed) {
    const auto o = read_record<mansio_store_outcome>(&borrowed);
    id = view(o.id);
    record = view(o.record);
    sequence = o.sequence;
    last = o.last != 0;
    deadline = o.deadline;
  }
};

// mansio_store_read, owned.
struct StoreRead {
  std::string id;
  std::uint64_t offset = 0, length = 0;
  std::int64_t deadline = 0;  // monotonic ns

  StoreRead() = default;
  explicit StoreRead(const mansio_store_read &borrowed) {
    const auto r = read_record<mansio_store_read>(&borrowed);
    id = view(r.id);
    offset = r.offset;
    length = r.length;
    deadline = r.deadline;
  }
};

// mansio_store_scan, owned.
struct StoreScan {
  std::string cursor;  // "": from the beginning
  std::uint32_t max = 1;
  std::int64_t deadline = 0;  // monotonic ns

  StoreScan() = default;
  explicit StoreScan(const mansio_store_scan &borrowed) {
    const auto s = read_record<mansio_store_scan>(&borrowed);
    cursor = view(s.cursor);
    max = s.max;
    deadline = s.deadline;
  }
};

// ---- answers -----------------------------------------------------------------------------------------------------
// defer("the disk is full") and not_found() are in mansio/host.hpp.

// It is on stable storage, what a commit brought as well as an outcome.
inline Reply kept() { return Reply{MANSIO_OK}; }
// Of read(): the octets, and the record of the message's newest outcome.
inline Reply part(std::string octets, std::string record = {}) {
  Reply r{MANSIO_OK};
  r.value(std::move(octets)).value(std::move(record));
  return r;
}
// Of scan(): where the next one goes on ("": there are no more), and the ids.
inline Reply page(std::string cursor, std::vector<std::string> ids) {
  Reply r{MANSIO_OK};
  r.value(std::move(cursor));
  for (auto &id : ids) r.value(std::move(id));
  return r;
}

// ---- glue --------------------------------------------------------------------------------------------------------

template <class P>
struct StoreKind {
  static constexpr const char *id = "mansio.store/1~draft";
  static constexpr bool draft = true;
  static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;

  static void commit(void *self, mansio_op op, const mansio_store_commit *message) noexcept {
    with_token(self, op, [&](P &plugin, Token &token) {
      StoreCommit owned{op, *message};
      if constexpr (requires(Token t) { plugin.commit(StoreCommit{}, std::move(t)); })
        plugin.commit(std::move(owned), std::move(token));
      else
        token.complete(plugin.commit(owned));
    });
  }
  static void outcome(void *self, mansio_op op, const mansio_store_outcome *outcome) noexcept {
    with_token(self, op, [&](P &plugin, Token &token) {
      StoreOutcome owned{*outcome};
      if constexpr (requires(Token t) { plugin.outcome(StoreOutcome{}, std::move(t)); })
        plugin.outcome(std::move(owned), std::move(token));
      else
        token.complete(plugin.outcome(owned));
    });
  }
  static void read(void *self, mansio_op op, const mansio_store_read *request) noexcept {
    with_token(self, op, [&](P &plugin, Token &token) {
      StoreRead owned{*request};
      if constexpr (requires(Token t) { plugin.read(StoreRead{}, std::move(t)); })
        plugin.read(std::move(owned), std::move(token));
      else
        token.complete(plugin.read(owned));
    });
  }
  static void scan(void *self, mansio_op op, const mansio_store_scan *request) noexcept {
    with_token(self, op, [&](P &plugin, Token &token) {
      StoreScan owned{*request};
      if constexpr (requires(Token t) { plugin.scan(StoreScan{}, std::move(t)); })
        plugin.scan(std::move(owned), std::move(token));
      else
        token.complete(plugin.scan(owned));
    });
  }
  static constexpr mansio_store table{commit, outcome, read, scan, detail::cancel<P>};

 private:
  template <class F>
  static void with_token(void *self, mansio_op op, F f) noexcept {
    auto &box = *static_cast<detail::Box<P> *>(self);
    detail::guard(box.host, op, [&] {
      Token token{box.host, op};
      f(box.plugin, token);
    });
  }
};

}  // namespace mansio::plugin

#define MANSIO_STORE_PLUGIN(Class) MANSIO_PLUGIN(Class, ::mansio::plugin::StoreKind)
