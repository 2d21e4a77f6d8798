#include "plugins/transport-http/client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace mansio::http {
namespace {

constexpr std::size_t kMaxResponse = 4096;  // kept
constexpr std::int64_t kMicrosecond = 1000, kMillisecond = 1'000'000;

using List = std::unique_ptr<curl_slist, decltype(&::curl_slist_free_all)>;

// What callbacks of one request share.
struct Flow {
  const Request &request;
  std::string response;
  bool unreadable = false;
  std::array<char, CURL_ERROR_SIZE> error{};

  static std::size_t give(char *to, std::size_t size, std::size_t n, void *flow) {
    auto &self = *static_cast<Flow *>(flow);
    const auto got = self.request.body.read(to, size * n);
    self.unreadable = got < 0;
    return got < 0 ? CURL_READFUNC_ABORT : static_cast<std::size_t>(got);
  }
  // A kept connection that turns out to be dead: the request begins again on another.
  static int rewind(void *flow, curl_off_t offset, int origin) {
    if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
    static_cast<Flow *>(flow)->request.body.rewind();
    return CURL_SEEKFUNC_OK;
  }
  static std::size_t take(const char *from, std::size_t size, std::size_t n, void *flow) {
    auto &kept = static_cast<Flow *>(flow)->response;
    kept.append(from, std::min(size * n, kMaxResponse - std::min(kMaxResponse, kept.size())));
    return size * n;
  }
  static int progress(void *flow, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    const auto &request = static_cast<Flow *>(flow)->request;
    return request.go_on && !request.go_on() ? 1 : 0;
  }
};

List header_list(const std::vector<std::string> &headers) {
  List list{nullptr, ::curl_slist_free_all};
  for (const auto &header : headers) {
    auto *const longer = ::curl_slist_append(list.get(), header.c_str());
    if (!longer) throw std::bad_alloc{};
    static_cast<void>(list.release());
    list.reset(longer);
  }
  return list;
}

long milliseconds(std::int64_t ns) { return static_cast<long>(std::max<std::int64_t>(ns / kMillisecond, 1)); }

}  // namespace

struct Client::Handle {
  std::unique_ptr<CURL, decltype(&::curl_easy_cleanup)> curl{::curl_easy_init(), ::curl_easy_cleanup};
  std::uint32_t uses = 0;  // of its connection

  template <class T>
  void set(CURLoption option, T value) const {
    if (const auto code = ::curl_easy_setopt(curl.get(), option, value); code != CURLE_OK)
      throw std::runtime_error{std::string{"libcurl refuses an option: "} + ::curl_easy_strerror(code)};
  }
  template <class T>
  T get(CURLINFO info) const {
    T value{};
    ::curl_easy_getinfo(curl.get(), info, &value);
    return value;
  }
};

Client::Client(const Settings &settings) : settings_(settings) {
  if (::curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw std::runtime_error{"libcurl does not start"};
}

Client::~Client() {
  idle_.clear();
  ::curl_global_cleanup();
}

std::unique_ptr<Client::Handle> Client::take() {
  {
    const std::lock_guard lock{mutex_};
    if (!idle_.empty()) {
      auto handle = std::move(idle_.back());
      idle_.pop_back();
      return handle;
    }
  }
  auto handle = std::make_unique<Handle>();
  if (!handle->curl) throw std::bad_alloc{};
  return handle;
}

void Client::configure(Handle &handle, const Request &request) const {
  handle.set(CURLOPT_URL, settings_.url.c_str());
  handle.set(CURLOPT_PROTOCOLS_STR, "http,https");
  handle.set(CURLOPT_PROXY, "");  // none that an environment names
  handle.set(CURLOPT_NOSIGNAL, 1L);
  handle.set(CURLOPT_FOLLOWLOCATION, 0L);
  handle.set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  handle.set(CURLOPT_SSL_VERIFYPEER, settings_.verify ? 1L : 0L);
  handle.set(CURLOPT_SSL_VERIFYHOST, settings_.verify ? 2L : 0L);
  if (!settings_.ca_file.empty()) {
    handle.set(CURLOPT_CAINFO, settings_.ca_file.c_str());
    handle.set(CURLOPT_CAPATH, static_cast<const char *>(nullptr));  // the system's, which would be trusted, too
  }
  handle.set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(std::min(settings_.connect_timeout, request.time_limit)));
  handle.set(CURLOPT_TIMEOUT_MS, milliseconds(std::min(settings_.timeout, request.time_limit)));
  handle.set(CURLOPT_POST, 1L);
  handle.set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
}

Exchange Client::post(const Request &request) {
  auto handle = take();
  Flow flow{request, {}, false, {}};
  const auto headers = header_list(request.headers);
  configure(*handle, request);
  handle->set(CURLOPT_HTTPHEADER, headers.get());
  handle->set(CURLOPT_READFUNCTION, &Flow::give);
  handle->set(CURLOPT_READDATA, &flow);
  handle->set(CURLOPT_SEEKFUNCTION, &Flow::rewind);
  handle->set(CURLOPT_SEEKDATA, &flow);
  handle->set(CURLOPT_WRITEFUNCTION, &Flow::take);
  handle->set(CURLOPT_WRITEDATA, &flow);
  handle->set(CURLOPT_XFERINFOFUNCTION, &Flow::progress);
  handle->set(CURLOPT_XFERINFODATA, &flow);
  handle->set(CURLOPT_NOPROGRESS, 0L);
  handle->set(CURLOPT_ERRORBUFFER, flow.error.data());
  const auto code = ::curl_easy_perform(handle->curl.get());

  Exchange e;
  const auto connects = handle->get<long>(CURLINFO_NUM_CONNECTS);
  handle->uses = connects > 0 ? 1 : handle->uses + 1;
  e.connection_use = handle->uses;
  const auto total = handle->get<curl_off_t>(CURLINFO_TOTAL_TIME_T) * kMicrosecond;
  const auto ready = handle->get<curl_off_t>(CURLINFO_PRETRANSFER_TIME_T) * kMicrosecond;
  e.connected = code == CURLE_OK || ready > 0;
  e.connect_ns = connects > 0 ? ready : 0;
  e.transmit_ns = total - ready;
  if (const auto *const ip = handle->get<char *>(CURLINFO_PRIMARY_IP); e.connected && ip)
    e.relay = settings_.host + '[' + ip + "]:" + std::to_string(handle->get<long>(CURLINFO_PRIMARY_PORT));
  e.response = {static_cast<int>(handle->get<long>(CURLINFO_RESPONSE_CODE)),
                handle->get<curl_off_t>(CURLINFO_RETRY_AFTER), std::move(flow.response)};
  ::curl_easy_reset(handle->curl.get());  // what it refers to ends here
  if (code == CURLE_OK) {
    e.outcome = Exchange::Outcome::Answered;
    const std::lock_guard lock{mutex_};
    idle_.push_back(std::move(handle));
    return e;
  }
  // The length was announced, so a server that lacks a part of the body cannot take it for a message.
  if (flow.unreadable)
    e.outcome = Exchange::Outcome::Unreadable;
  else if (e.connected && request.body.finished())
    e.outcome = Exchange::Outcome::Uncertain;
  e.error = flow.error.front() != '\0' ? flow.error.data() : ::curl_easy_strerror(code);
  return e;
}

}  // namespace mansio::http
