// FilterService: the host process's side of a filter or policy: stages in, verdicts out, for the ingress processes that
// are attached.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "kernel/host/filter.hpp"
#include "kernel/io/channel.hpp"

namespace mansio::host {

class FilterService {
 public:
  explicit FilterService(std::unique_ptr<FilterInstance> instance) : instance_(std::move(instance)) {}

  void greet(io::Channel &client);                                         // a new one: which stages are wanted
  bool receive(const std::shared_ptr<io::Channel> &from, io::Message &m);  // false: not for it
  void gone(const io::Channel *client);
  const FilterInstance &instance() const { return *instance_; }

 private:
  using Call = std::pair<const io::Channel *, std::uint64_t>;  // who asked, and that one's number
  void start(const std::shared_ptr<io::Channel> &from, io::Message &m, std::string_view payload);

  std::unique_ptr<FilterInstance> instance_;
  std::map<Call, std::uint64_t> calls_;  // under way -> the instance's number
};

}  // namespace mansio::host
