#include "plugins/transport-http/body.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace mansio::http {
namespace {

constexpr std::size_t kPiece = 48 * 1024;  // of the message; a multiple of three, so that only the last has padding

std::string base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // one more for the NUL that OpenSSL writes
  const auto n =
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char *>(out.data()),
                        reinterpret_cast<const unsigned char *>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(n));
  return out;
}

}  // namespace

Body::Body(transport::ReadMessage read, std::uint64_t length) : read_(std::move(read)), length_(length) {}

Body::Body(std::string head, transport::ReadMessage read, std::uint64_t length, std::string tail)
    : encoded_(true), head_(std::move(head)), tail_(std::move(tail)), read_(std::move(read)), length_(length) {}

std::uint64_t Body::size() const { return head_.size() + (encoded_ ? (length_ + 2) / 3 * 4 : length_) + tail_.size(); }

void Body::rewind() {
  offset_ = given_ = 0;
  head_done_ = tail_done_ = false;
  ready_.clear();
  ready_at_ = 0;
}

// Puts what comes next into ready_, which stays empty at the end. False: the message cannot be read.
bool Body::fill() {
  ready_.clear();
  ready_at_ = 0;
  if (!std::exchange(head_done_, true)) ready_ = head_;
  if (!ready_.empty()) return true;
  if (offset_ == length_) {
    if (!std::exchange(tail_done_, true)) ready_ = tail_;
    return true;
  }
  std::string piece(std::min<std::uint64_t>(kPiece, length_ - offset_), '\0');
  for (std::size_t got = 0; got < piece.size();) {
    const auto n = read_(offset_ + got, piece.data() + got, piece.size() - got);
    if (n <= 0) return false;
    got += static_cast<std::size_t>(n);
  }
  offset_ += piece.size();
  ready_ = encoded_ ? base64(piece) : std::move(piece);
  return true;
}

std::int64_t Body::read(char *to, std::size_t n) {
  if (ready_at_ == ready_.size() && !fill()) return -1;
  n = std::min(n, ready_.size() - ready_at_);
  std::memcpy(to, ready_.data() + ready_at_, n);
  ready_at_ += n;
  given_ += n;
  return static_cast<std::int64_t>(n);
}

}  // namespace mansio::http
