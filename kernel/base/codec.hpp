// The one byte codec of process channels and spool records: little-endian fixed integers, varint
// lengths, no alignment. A struct names its members once,
//
//   template <class Self, class V> static void fields(Self &s, V &v) { v(s.a, s.b); }
//
// and is thereby both encoded and decoded. Decoding takes bytes from anywhere: it never reads past its
// input, never allocates more than the input could hold, and reports failure as a value.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace mansio {

static_assert(std::endian::native == std::endian::little, "the codec copies integers as they are");

template <class T>
concept Scalar = std::integral<T> || std::is_enum_v<T> || std::floating_point<T>;

class Encoder {
 public:
  explicit Encoder(std::string &out) : out_(out) {}

  template <class... T>
  void operator()(const T &...value) {
    (put(value), ...);
  }

  void varint(std::uint64_t n) {
    while (n >= 0x80) {
      out_.push_back(static_cast<char>(n | 0x80));
      n >>= 7;
    }
    out_.push_back(static_cast<char>(n));
  }
  void raw(std::string_view bytes) { out_.append(bytes); }

  template <class T>
  void put(const T &value) {
    if constexpr (Scalar<T>) {
      char b[sizeof(T)];
      std::memcpy(b, &value, sizeof(T));
      out_.append(b, sizeof(T));
    } else {
      T::fields(value, *this);
    }
  }
  void put(const std::string &s) { put(std::string_view{s}); }
  void put(std::string_view s) {
    varint(s.size());
    raw(s);
  }
  template <class T>
  void put(const std::vector<T> &v) {
    varint(v.size());
    for (const auto &x : v) put(x);
  }
  template <class T, std::size_t N>
  void put(const std::array<T, N> &v) {
    for (const auto &x : v) put(x);
  }
  template <class T>
  void put(const std::optional<T> &v) {
    put(static_cast<std::uint8_t>(v.has_value()));
    if (v) put(*v);
  }
  template <class A, class B>
  void put(const std::pair<A, B> &v) {
    put(v.first);
    put(v.second);
  }

 private:
  std::string &out_;
};

class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}

  bool ok() const { return ok_; }
  bool finished() const { return ok_ && in_.empty(); }  // all bytes used, none missing
  std::string_view rest() const { return in_; }

  template <class... T>
  void operator()(T &...value) {
    (get(value), ...);
  }

  std::uint64_t varint() {
    std::uint64_t n = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (in_.empty()) break;
      const auto b = static_cast<std::uint8_t>(in_.front());
      in_.remove_prefix(1);
      n |= static_cast<std::uint64_t>(b & 0x7f) << shift;
      if (!(b & 0x80)) return n;
    }
    ok_ = false;
    return 0;
  }
  std::string_view raw(std::uint64_t n) {
    if (!ok_ || n > in_.size()) {
      ok_ = false;
      return {};
    }
    const auto s = in_.substr(0, n);
    in_.remove_prefix(n);
    return s;
  }

  template <class T>
  void get(T &value) {
    if constexpr (std::same_as<T, bool>) {
      std::uint8_t b = 0;
      get(b);
      if (b > 1) ok_ = false;
      value = b == 1;
    } else if constexpr (Scalar<T>) {
      const auto s = raw(sizeof(T));
      if (ok_) std::memcpy(&value, s.data(), sizeof(T));
    } else {
      T::fields(value, *this);
    }
  }
  void get(std::string &s) { s = raw(varint()); }
  void get(std::string_view &s) { s = raw(varint()); }  // borrowed from the input
  template <class T>
  void get(std::vector<T> &v) {
    const auto n = varint();
    v.clear();
    if (n > in_.size()) {  // every element takes at least one byte
      ok_ = false;
      return;
    }
    for (std::uint64_t i = 0; i < n && ok_; ++i) get(v.emplace_back());
  }
  template <class T, std::size_t N>
  void get(std::array<T, N> &v) {
    for (auto &x : v) get(x);
  }
  template <class T>
  void get(std::optional<T> &v) {
    bool has = false;
    get(has);
    if (has)
      get(v.emplace());
    else
      v.reset();
  }
  template <class A, class B>
  void get(std::pair<A, B> &v) {
    get(v.first);
    get(v.second);
  }

 private:
  std::string_view in_;
  bool ok_ = true;
};

template <class T>
std::string encode(const T &value) {
  std::string out;
  Encoder{out}.put(value);
  return out;
}

// The whole of `bytes` must be one T.
template <class T>
std::optional<T> decode(std::string_view bytes) {
  std::optional<T> value{std::in_place};
  Decoder d{bytes};
  d.get(*value);
  if (!d.finished()) value.reset();
  return value;
}

}  // namespace mansio
