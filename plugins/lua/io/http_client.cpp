#include "plugins/lua/io/http_client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <coroutine>
#include <exception>
#include <new>
#include <stdexcept>
#include <string_view>

#include "plugins/common/ascii.hpp"

namespace mansio::lua {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::size_t kLargestHead = 64 << 10;
constexpr long kMostKeptConnections = 16;

struct FreeList {
  void operator()(curl_slist *list) const { ::curl_slist_free_all(list); }
};
using CurlList = std::unique_ptr<curl_slist, FreeList>;

void append(CurlList &list, const std::string &text) {
  auto *const longer = ::curl_slist_append(list.get(), text.c_str());
  if (!longer) throw std::bad_alloc{};
  static_cast<void>(list.release());
  list.reset(longer);
}

}  // namespace

struct HttpClient::Library {
  struct Free {
    void operator()(CURLM *m) const { ::curl_multi_cleanup(m); }
  };
  std::unique_ptr<CURLM, Free> multi{::curl_multi_init()};
};

// A socket of libcurl's. The reactor's watches are one-shot, libcurl wants to hear until it says otherwise.
struct HttpClient::Watched {
  HttpClient *client;
  int fd;
  int wanted = 0, armed = 0;  // MANSIO_READABLE | MANSIO_WRITABLE
};

// One request under way: co_await it.
class HttpClient::Transfer final : plugin::Waiter {
 public:
  Transfer(HttpClient &client, const HttpRequest &request, plugin::Cancel &cancel)
      : client_(client), request_(request), cancel_(cancel) {}
  ~Transfer() { leave(); }
  Transfer(const Transfer &) = delete;
  Transfer &operator=(const Transfer &) = delete;

  bool await_ready() {
    if (cancel_.requested()) {
      response_.why = "cancelled";
      return true;
    }
    configure();
    return false;
  }
  bool await_suspend(std::coroutine_handle<> h) {
    client_.transfers_.emplace(easy_.get(), this);
    if (::curl_multi_add_handle(client_.library_->multi.get(), easy_.get()) != CURLM_OK) {
      client_.transfers_.erase(easy_.get());
      response_.why = "libcurl does not take the request";
      return false;
    }
    added_ = true;
    waiting_ = h;
    cancel_.waits(this);
    return true;
  }
  HttpResponse await_resume() { return std::move(response_); }

  void over(CURLcode code) {
    long status = 0;
    ::curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
    response_.sent = whole_request_sent();
    if (too_large_)
      response_.why = "the response is larger than " + std::to_string(request_.limit) + " octets";
    else if (code != CURLE_OK)
      response_.why = error_.front() != '\0' ? error_.data() : ::curl_easy_strerror(code);
    resume();
  }

 private:
  // The length is announced, so a server that lacks a part of the body takes it for no request.
  bool whole_request_sent() const {
    curl_off_t ready = 0, body = 0;
    ::curl_easy_getinfo(easy_.get(), CURLINFO_PRETRANSFER_TIME_T, &ready);
    ::curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_UPLOAD_T, &body);
    return ready > 0 && (!request_.has_body || body >= static_cast<curl_off_t>(request_.body.size()));
  }

  template <class T>
  void set(CURLoption option, T value) const {
    if (const auto code = ::curl_easy_setopt(easy_.get(), option, value); code != CURLE_OK)
      throw std::runtime_error{std::string{"libcurl refuses an option: "} + ::curl_easy_strerror(code)};
  }

  void configure() {
    if (!easy_) throw std::bad_alloc{};
    const auto left = std::max<std::int64_t>((request_.deadline - client_.host_.now()) / kMillisecond, 1);
    set(CURLOPT_URL, request_.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_PROXY, "");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    if (!request_.ca_file.empty()) {
      set(CURLOPT_CAINFO, request_.ca_file.c_str());
      set(CURLOPT_CAPATH, static_cast<const char *>(nullptr));  // the system's, which would be trusted, too
    }
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(left));
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(left));
    set(CURLOPT_USERAGENT, "Mansio");
    if (request_.has_body) {
      set(CURLOPT_POST, 1L);
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
      set(CURLOPT_POSTFIELDS, request_.body.data());
      append(headers_, "Expect:");  // no waiting for a leave to send
    } else if (request_.method == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
    }
    set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    for (const auto &header : request_.headers) append(headers_, header);
    if (headers_) set(CURLOPT_HTTPHEADER, headers_.get());
    if (!request_.addresses.empty()) {
      std::string entry = "+" + request_.host + ':' + std::to_string(request_.port) + ':';
      for (const auto &address : request_.addresses) {
        const bool six = address.find(':') != std::string::npos;
        entry += (entry.ends_with(':') ? "" : ",") + (six ? '[' + address + ']' : address);
      }
      append(resolved_, entry);
      set(CURLOPT_RESOLVE, resolved_.get());
    }
    set(CURLOPT_WRITEFUNCTION, &Transfer::take_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &Transfer::take_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_ERRORBUFFER, error_.data());
  }

  // What libcurl calls throws nothing; 0 ends the request.
  static std::size_t take_body(const char *from, std::size_t, std::size_t n, void *transfer) noexcept {
    auto &self = *static_cast<Transfer *>(transfer);
    auto &body = self.response_.body;
    if (n > self.request_.limit - body.size()) {
      self.too_large_ = true;
      return 0;
    }
    try {
      body.append(from, n);
      return n;
    } catch (const std::exception &) {
      return 0;
    }
  }
  static std::size_t take_header(const char *from, std::size_t, std::size_t n, void *transfer) noexcept {
    auto &self = *static_cast<Transfer *>(transfer);
    try {
      const std::string_view line{from, n};
      if (line.starts_with("HTTP/")) {  // another one, after a 100
        self.response_.headers.clear();
        self.head_ = n;
        return n;
      }
      self.head_ += n + sizeof self.response_.headers.front();  // the line, and what holds it
      if (self.head_ > kLargestHead) return 0;
      const auto colon = line.find(':');
      if (colon == line.npos) return n;
      self.response_.headers.emplace_back(ascii::lower(ascii::trimmed(line.substr(0, colon))),
                                          std::string{ascii::trimmed(line.substr(colon + 1))});
      return n;
    } catch (const std::exception &) {
      return 0;
    }
  }

  void cancelled() override {
    response_.why = "cancelled";
    resume();
  }
  void resume() {
    leave();
    cancel_.done();
    std::exchange(waiting_, nullptr).resume();  // destroys *this
  }
  void leave() {
    if (!std::exchange(added_, false)) return;
    client_.transfers_.erase(easy_.get());
    ::curl_multi_remove_handle(client_.library_->multi.get(), easy_.get());
  }

  struct Free {
    void operator()(CURL *easy) const { ::curl_easy_cleanup(easy); }
  };
  HttpClient &client_;
  const HttpRequest &request_;
  plugin::Cancel &cancel_;
  CurlList headers_, resolved_;  // they outlive the handle
  std::array<char, CURL_ERROR_SIZE> error_{};
  std::unique_ptr<CURL, Free> easy_{::curl_easy_init()};
  HttpResponse response_;
  std::size_t head_ = 0;
  bool too_large_ = false, added_ = false;
  std::coroutine_handle<> waiting_;
};

HttpClient::HttpClient(const plugin::Host &host) : host_(host) {
  if (::curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw std::runtime_error{"libcurl does not start"};
  library_ = std::make_unique<Library>();
  auto *const multi = library_->multi.get();
  if (!multi) throw std::bad_alloc{};
  const auto on_socket = [](CURL *, curl_socket_t fd, int what, void *self, void *) noexcept -> int {
    static_cast<HttpClient *>(self)->changed(fd, what);
    return 0;
  };
  const auto on_timer = [](CURLM *, long milliseconds, void *self) noexcept -> int {
    static_cast<HttpClient *>(self)->arm_timer(milliseconds);
    return 0;
  };
  ::curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, static_cast<curl_socket_callback>(on_socket));
  ::curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
  ::curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, static_cast<curl_multi_timer_callback>(on_timer));
  ::curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
  ::curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, kMostKeptConnections);
}

HttpClient::~HttpClient() {
  library_.reset();  // closes the connections, and says so
  if (timer_ != 0) host_.cancel_timer(timer_);
  for (const auto &[fd, ignored] : watched_) host_.forget(fd);
  ::curl_global_cleanup();
}

plugin::Task<HttpResponse> HttpClient::fetch(HttpRequest request, plugin::Cancel &cancel) {
  auto response = co_await Transfer{*this, request, cancel};
  co_return response;
}

std::string HttpClient::host_of(const std::string &url, std::uint16_t &port, std::string &why) {
  struct Free {
    void operator()(CURLU *parts) const { ::curl_url_cleanup(parts); }
  };
  const std::unique_ptr<CURLU, Free> parts{::curl_url()};
  if (!parts) throw std::bad_alloc{};
  const auto part = [&](CURLUPart which, unsigned flags) {
    char *text = nullptr;
    std::string copy;
    if (::curl_url_get(parts.get(), which, &text, flags) == CURLUE_OK && text) {
      copy = text;
      ::curl_free(text);
    }
    return copy;
  };
  if (::curl_url_set(parts.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return why = "is no URL", "";
  const auto scheme = part(CURLUPART_SCHEME, 0);
  if (scheme != "http" && scheme != "https") return why = "has the scheme \"" + scheme + '"', "";
  if (!part(CURLUPART_USER, 0).empty()) return why = "names a user", "";
  auto host = part(CURLUPART_HOST, 0);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const bool ascii = std::all_of(host.begin(), host.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (host.empty() || !ascii) return why = "has no host in ASCII", "";
  const auto number = part(CURLUPART_PORT, CURLU_DEFAULT_PORT);
  std::from_chars(number.data(), number.data() + number.size(), port);
  return host;
}

void HttpClient::act(int fd, int events) {
  int running = 0;
  const int bits = ((events & MANSIO_READABLE) != 0 ? CURL_CSELECT_IN : 0) |
                   ((events & MANSIO_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0);
  ::curl_multi_socket_action(library_->multi.get(), fd, bits, &running);
  if (const auto found = watched_.find(fd); found != watched_.end()) arm(*found->second);
  finish();
}

// One at a time: what goes on after one may end another.
void HttpClient::finish() {
  int left = 0;
  while (const auto *message = ::curl_multi_info_read(library_->multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const auto code = message->data.result;
    if (const auto found = transfers_.find(message->easy_handle); found != transfers_.end()) found->second->over(code);
  }
}

void HttpClient::changed(int fd, int what) {
  if (what == CURL_POLL_REMOVE) {
    host_.forget(fd);
    watched_.erase(fd);
    return;
  }
  auto &watched = watched_[fd];
  if (!watched) watched = std::make_unique<Watched>(Watched{this, fd});
  watched->wanted = (what == CURL_POLL_IN || what == CURL_POLL_INOUT ? MANSIO_READABLE : 0) |
                    (what == CURL_POLL_OUT || what == CURL_POLL_INOUT ? MANSIO_WRITABLE : 0);
  arm(*watched);
}

void HttpClient::arm(Watched &watched) {
  for (const int way : {MANSIO_READABLE, MANSIO_WRITABLE}) {
    if ((watched.wanted & way) == 0 || (watched.armed & way) != 0) continue;
    const bool good = host_.watch(
        watched.fd, way,
        [](void *arg, int events) {
          auto &w = *static_cast<Watched *>(arg);
          w.armed &= ~events;
          if ((w.wanted & events) != 0) w.client->act(w.fd, events);
        },
        &watched);
    if (good) watched.armed |= way;  // otherwise the request ends at its deadline
  }
}

void HttpClient::arm_timer(long milliseconds) {
  if (timer_ != 0) host_.cancel_timer(std::exchange(timer_, 0));
  if (milliseconds < 0) return;
  timer_ = host_.timer(
      std::max<std::int64_t>(milliseconds * kMillisecond, 1),
      [](void *arg) {
        auto &client = *static_cast<HttpClient *>(arg);
        client.timer_ = 0;
        int running = 0;
        ::curl_multi_socket_action(client.library_->multi.get(), CURL_SOCKET_TIMEOUT, 0, &running);
        client.finish();
      },
      this);
}

}  // namespace mansio::lua
