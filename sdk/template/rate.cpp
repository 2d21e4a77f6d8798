// @NAME@: gives each limit a number of permits once and no more. Replace lease() by what you need: the bucket that
// several nodes share, in a database or wherever they all reach it (mansio/rate.hpp).
#include <mansio/rate.hpp>

#include <algorithm>
#include <map>

namespace {

using namespace mansio::plugin;

class @CLASS@ {
 public:
  static constexpr Info info{"@NAME@", "0.1"};
  static constexpr mansio_option options[] = {
      {"most", MANSIO_OPT_INTEGER, 0, "1000", "Permits for each limit."},
      {},
  };

  explicit @CLASS@(Host host) : most_(static_cast<std::uint32_t>(host.integer("most"))) {}

  // permits(), for how long, and when to ask again if there are fewer than wanted; defer("why") when you cannot say.
  Reply lease(const LeaseRequest &request) {
    auto &left = left_.try_emplace(request.limit + ' ' + request.key, most_).first->second;
    const auto given = std::min(left, request.want);
    left -= given;
    return permits(given, std::chrono::seconds{10}, std::chrono::seconds{given < request.want ? 1 : 0});
  }
  void give_back(std::string_view limit, std::string_view key, std::uint32_t unused) {
    left_[std::string{limit} + ' ' + std::string{key}] += unused;
  }

 private:
  std::uint32_t most_;
  std::map<std::string, std::uint32_t> left_;
};

}  // namespace

MANSIO_RATE_PLUGIN(@CLASS@)
