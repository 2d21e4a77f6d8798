#define PCRE2_CODE_UNIT_WIDTH 8
#include "kernel/config/pattern.hpp"

#include <fmt/format.h>
#include <pcre2.h>

namespace mansio::config {
namespace {

constexpr std::uint32_t kMatchLimit = 100'000, kDepthLimit = 1000;

}  // namespace

struct Pattern::Code {
  pcre2_code *code = nullptr;
  pcre2_match_context *context = nullptr;
  ~Code() {
    pcre2_match_context_free(context);
    pcre2_code_free(code);
  }
};

Result<Pattern> Pattern::compile(std::string_view expression) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto *code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(), 0, &error, &offset, nullptr);
  if (!code) {
    PCRE2_UCHAR text[256];
    pcre2_get_error_message(error, text, sizeof text);
    return Error{Status::BadConfig,
                 fmt::format("{} at character {}", reinterpret_cast<const char *>(text), offset + 1)};
  }
  auto made = std::make_shared<Code>();
  made->code = code;
  made->context = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(made->context, kMatchLimit);
  pcre2_set_depth_limit(made->context, kDepthLimit);
  Pattern out;
  out.code_ = std::move(made);
  return out;
}

bool Pattern::matches(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data *)> data{
      pcre2_match_data_create_from_pattern(code_->code, nullptr), pcre2_match_data_free};
  return pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0, data.get(),
                     code_->context) >= 0;
}

}  // namespace mansio::config
