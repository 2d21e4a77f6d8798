// The resolver: c-ares does retries, servers and TCP; the cache, the sharing of lookups and the reading of answers are
// ours. Answers come, in this order, from the name itself (an address, localhost), the hosts file, the cache, DNS.
#include "kernel/io/dns.hpp"

#include <ares.h>
#include <arpa/inet.h>

#include <algorithm>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <deque>
#include <fstream>
#include <list>
#include <map>
#include <sstream>
#include <unordered_map>

#include "kernel/io/dns_message.hpp"

namespace mansio::io {
namespace {

using Shared = std::shared_ptr<const DnsResult>;
using Done = std::function<void(const DnsResult &)>;

struct Key {
  std::string name;  // normal_domain()
  DnsType type;
  bool operator==(const Key &) const = default;
};
struct KeyHash {
  std::size_t operator()(const Key &k) const noexcept {
    return std::hash<std::string>{}(k.name) * 31 + static_cast<std::size_t>(k.type);
  }
};

bool is_address(int family, const std::string &text) {
  unsigned char a[16];
  return ::inet_pton(family, text.c_str(), a) == 1;
}

// The hosts file, read once: processes drop the right to open files, and are replaced at reload.
class Hosts {
 public:
  explicit Hosts(const std::string &path) {
    std::ifstream in{path};
    for (std::string line; std::getline(in, line);) {
      std::istringstream words{line.substr(0, line.find('#'))};
      std::string address, name;
      words >> address;
      const bool four = is_address(AF_INET, address);
      if (!four && !is_address(AF_INET6, address)) continue;
      while (words >> name) {
        const auto normal = normal_domain(name);
        if (normal.empty()) continue;
        by_name_[normal].push_back({address, four});
        names_.try_emplace(reverse_name(address), normal);  // the first name is the canonical one
      }
    }
  }
  struct Address {
    std::string text;
    bool four;
  };
  const std::vector<Address> *addresses(const std::string &name) const {
    const auto i = by_name_.find(name);
    return i == by_name_.end() ? nullptr : &i->second;
  }
  const std::string *name(const std::string &reverse) const {
    const auto i = names_.find(reverse);
    return i == names_.end() ? nullptr : &i->second;
  }

 private:
  std::map<std::string, std::vector<Address>> by_name_;
  std::map<std::string, std::string> names_;
};

class Resolver final : public Dns {
 public:
  Resolver(asio::io_context &loop, const Clock &clock, DnsOptions options)
      : loop_(loop), clock_(clock), options_(std::move(options)), timer_(loop), hosts_(options_.hosts_file) {
    open_channel();
  }
  ~Resolver() override {
    closing_ = true;
    if (channel_) ares_destroy(channel_);
  }

  void query(std::string_view name, DnsType type, Done done) override {
    Key key{normal_domain(name), type};
    if (key.name.empty()) return answer_later(error(Status::Fail, "not a domain name", {5, 1, 2}), std::move(done));
    if (auto known = local(key)) return answer_later(std::move(known), std::move(done));
    if (auto known = cached(key)) return answer_later(std::move(known), std::move(done));
    if (!channel_) return answer_later(error(Status::Defer, channel_error_, {4, 4, 3}), std::move(done));
    auto [lookup, fresh] = lookups_.try_emplace(key);
    lookup->second.push_back(std::move(done));
    if (!fresh) return;
    if (active_ < options_.lookups_at_once)
      begin(key);
    else
      waiting_.push_back(std::move(key));
  }

 private:
  struct Socket {
    Socket(asio::io_context &loop, int fd) : descriptor(loop, fd) {}
    asio::posix::stream_descriptor descriptor;
    bool open = true, want_read = false, want_write = false, reading = false, writing = false;
  };
  struct Lookup {
    Resolver *resolver;
    Key key;
  };
  struct Cached {
    Shared result;
    Nanos until;
    std::list<Key>::iterator age;
  };

  static Shared error(Status status, std::string text, EnhancedStatus enhanced) {
    return std::make_shared<const DnsResult>(Error{status, std::move(text), enhanced});
  }
  void answer_later(Shared result, Done done) {
    asio::post(loop_, [result = std::move(result), done = std::move(done)] { done(*result); });
  }

  // ---- what needs no question ----------------------------------------------------------------------------------

  Shared local(const Key &key) const {
    const bool a = key.type == DnsType::A, aaaa = key.type == DnsType::Aaaa;
    std::vector<DnsRecord> records;
    bool known = false;
    if (key.type == DnsType::Ptr) {
      const auto *name = hosts_.name(key.name);
      if (!name) return nullptr;
      known = true;
      records.push_back({*name, 0});
    } else if (is_address(AF_INET, key.name) || is_address(AF_INET6, key.name)) {
      known = true;
      if ((a && is_address(AF_INET, key.name)) || (aaaa && is_address(AF_INET6, key.name)))
        records.push_back({key.name, 0});
    } else if (a || aaaa) {
      if (const auto *addresses = hosts_.addresses(key.name)) {
        known = true;
        for (const auto &address : *addresses)
          if (address.four == a) records.push_back({address.text, 0});
      }
    }
    if (records.empty() && (key.name == "localhost" || key.name.ends_with(".localhost"))) {  // RFC 6761 section 6.3
      known = true;
      if (a) records.push_back({"127.0.0.1", 0});
      if (aaaa) records.push_back({"::1", 0});
    }
    if (!known) return nullptr;
    if (records.empty()) return error(Status::NotFound, "no such data: " + key.name, {5, 4, 4});
    return std::make_shared<const DnsResult>(DnsAnswer{std::move(records), options_.max_ttl, key.name});
  }

  Shared cached(const Key &key) {
    const auto i = cache_.find(key);
    if (i == cache_.end()) return nullptr;
    if (i->second.until <= clock_.mono()) {
      ages_.erase(i->second.age);
      cache_.erase(i);
      return nullptr;
    }
    ages_.splice(ages_.begin(), ages_, i->second.age);
    return i->second.result;
  }

  void remember(const Key &key, const Shared &result, Nanos ttl) {
    const bool found = result->ok();
    if (options_.cache_entries == 0 || (!found && result->error().status != Status::NotFound)) return;
    ttl = std::min(std::max(ttl, options_.min_ttl), found ? options_.max_ttl : options_.max_negative_ttl);
    if (cache_.size() >= options_.cache_entries) {
      cache_.erase(ages_.back());
      ages_.pop_back();
    }
    ages_.push_front(key);
    cache_.insert_or_assign(key, Cached{result, clock_.mono() + ttl, ages_.begin()});
  }

  // ---- c-ares ------------------------------------------------------------------------------------------------

  void open_channel() {
    static const int library = ares_library_init(ARES_LIB_INIT_ALL);  // once a program, thread-safe this way
    ares_options o{};
    o.flags = ARES_FLAG_EDNS;
    o.ednspsz = 1232;  // what passes everywhere without fragments
    o.timeout = static_cast<int>(std::max<Nanos>(options_.timeout / kMillisecond, 1));
    o.tries = static_cast<int>(std::max<std::uint32_t>(options_.tries, 1));
    o.socket_receive_buffer_size = 1 << 20;  // answers to a burst
    o.sock_state_cb = [](void *self, ares_socket_t fd, int readable, int writable) {
      static_cast<Resolver *>(self)->socket_state(fd, readable != 0, writable != 0);
    };
    o.sock_state_cb_data = this;
    constexpr int mask = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                         ARES_OPT_SOCK_RCVBUF | ARES_OPT_SOCK_STATE_CB;
    int status = library == ARES_SUCCESS ? ares_init_options(&channel_, &o, mask) : library;
    if (status == ARES_SUCCESS && !options_.servers.empty()) {
      std::string csv;
      for (const auto &server : options_.servers) csv += (csv.empty() ? "" : ",") + server;
      status = ares_set_servers_ports_csv(channel_, csv.c_str());
      if (status != ARES_SUCCESS) ares_destroy(channel_);
    }
    if (status == ARES_SUCCESS) return;
    channel_ = nullptr;
    channel_error_ = std::string{"DNS is not usable: "} + ares_strerror(status);
  }

  void begin(const Key &key) {
    ++active_;
    auto *lookup = new Lookup{this, key};
    ares_query(
        channel_, key.name.c_str(), 1, static_cast<int>(key.type),
        [](void *arg, int status, int, unsigned char *bytes, int n) {
          const std::unique_ptr<Lookup> mine{static_cast<Lookup *>(arg)};
          if (mine->resolver->closing_) return;
          const auto length = bytes ? static_cast<std::size_t>(n) : 0;
          mine->resolver->finish(mine->key, status, {reinterpret_cast<const char *>(bytes), length});
        },
        lookup);
    arm_timer();
  }

  // May run inside query(), so the waiting are answered a turn later.
  void finish(const Key &key, int status, std::string_view bytes) {
    --active_;
    DnsParsed parsed{Error{Status::Defer, ares_strerror(status), {4, 4, 3}}};
    if (!bytes.empty()) parsed = parse_dns_message(bytes, key.name, key.type);
    const auto result = std::make_shared<const DnsResult>(std::move(parsed.result));
    remember(key, result, parsed.ttl);
    if (auto lookup = lookups_.extract(key))
      asio::post(loop_, [result, waiters = std::move(lookup.mapped())] {
        for (const auto &done : waiters) done(*result);
      });
    if (!next_scheduled_ && !waiting_.empty()) {  // not from inside c-ares
      next_scheduled_ = true;
      asio::post(loop_, [this, alive = std::weak_ptr{alive_}] {
        if (!alive.lock()) return;
        next_scheduled_ = false;
        while (active_ < options_.lookups_at_once && !waiting_.empty()) {
          const auto next = std::move(waiting_.front());
          waiting_.pop_front();
          begin(next);
        }
      });
    }
  }

  void socket_state(int fd, bool readable, bool writable) {
    auto &socket = sockets_[fd];
    if (!readable && !writable) {  // c-ares closes it next
      if (socket) {
        socket->open = false;
        socket->descriptor.release();
      }
      sockets_.erase(fd);
      return;
    }
    if (!socket) socket = std::make_shared<Socket>(loop_, fd);
    socket->want_read = readable;
    socket->want_write = writable;
    wait(socket);
  }

  void wait(const std::shared_ptr<Socket> &socket) {
    using Descriptor = asio::posix::stream_descriptor;
    const auto arm = [&](bool want, bool &waiting, auto which, bool read) {
      if (!want || waiting) return;
      waiting = true;
      socket->descriptor.async_wait(which, [this, socket, &waiting, read](ErrorCode e) {
        waiting = false;
        if (e || !socket->open) return;
        const int fd = socket->descriptor.native_handle();
        ares_process_fd(channel_, read ? fd : ARES_SOCKET_BAD, read ? ARES_SOCKET_BAD : fd);
        if (socket->open) wait(socket);
        arm_timer();
      });
    };
    arm(socket->want_read, socket->reading, Descriptor::wait_read, true);
    arm(socket->want_write, socket->writing, Descriptor::wait_write, false);
  }

  void arm_timer() {
    timeval tv{};
    if (!ares_timeout(channel_, nullptr, &tv)) {
      timer_.cancel();
      return;
    }
    timer_.expires_after(std::chrono::seconds{tv.tv_sec} + std::chrono::microseconds{tv.tv_usec + 1000});
    timer_.async_wait([this, alive = std::weak_ptr{alive_}](ErrorCode e) {
      if (e || !alive.lock()) return;
      ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      arm_timer();
    });
  }

  asio::io_context &loop_;
  const Clock &clock_;
  DnsOptions options_;
  asio::steady_timer timer_;
  Hosts hosts_;
  ares_channel channel_ = nullptr;
  std::string channel_error_;
  std::unordered_map<int, std::shared_ptr<Socket>> sockets_;
  std::unordered_map<Key, std::vector<Done>, KeyHash> lookups_;
  std::deque<Key> waiting_;
  std::size_t active_ = 0;
  std::unordered_map<Key, Cached, KeyHash> cache_;
  std::list<Key> ages_;  // most recently used first
  bool closing_ = false, next_scheduled_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace

std::unique_ptr<Dns> Dns::create(asio::io_context &loop, const Clock &clock, DnsOptions options) {
  return std::make_unique<Resolver>(loop, clock, std::move(options));
}

Task<DnsResult> Dns::query(std::string name, DnsType type) {
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<> &, void(DnsResult)>(
      [this, &name, type](auto handler) {
        // std::function wants copies, the handler cannot be copied.
        auto held = std::make_shared<decltype(handler)>(std::move(handler));
        query(std::string_view{name}, type, [held](const DnsResult &result) {
          const auto executor = asio::get_associated_executor(*held);
          asio::dispatch(executor,
                         [held, result = DnsResult{result}]() mutable { std::move (*held)(std::move(result)); });
        });
      },
      asio::use_awaitable);
}

}  // namespace mansio::io
