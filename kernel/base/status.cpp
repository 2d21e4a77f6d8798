#include "kernel/base/status.hpp"

#include <fmt/format.h>

namespace mansio {

std::string_view name(Status status) {
  switch (status) {
    case Status::Ok:
      return "ok";
    case Status::NotFound:
      return "not found";
    case Status::Skip:
      return "skip";
    case Status::Defer:
      return "defer";
    case Status::Fail:
      return "fail";
    case Status::Busy:
      return "busy";
    case Status::Uncertain:
      return "uncertain";
    case Status::Cancelled:
      return "cancelled";
    case Status::BadConfig:
      return "bad configuration";
    case Status::Unsupported:
      return "unsupported";
    case Status::Internal:
      return "internal error";
  }
  return "unknown status";
}

std::string to_string(EnhancedStatus status) {
  return status.empty() ? std::string{} : fmt::format("{}.{}.{}", status.cls, status.subject, status.detail);
}

}  // namespace mansio
