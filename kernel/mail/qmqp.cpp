#include "kernel/mail/qmqp.hpp"

#include <algorithm>

namespace mansio {

QmqpReader::Event QmqpReader::fail(Part why) {
  state_ = State::Failed;
  why_ = why;
  return {why, {}};
}

QmqpReader::Event QmqpReader::next(std::string_view &in) {
  for (;;) {
    if (state_ == State::Done) return {Part::End, {}};
    if (state_ == State::Failed) return {why_, {}};
    if (state_ == State::Length && outer_ == 0 && !length_.begun()) {
      if (elements_ < 2) return fail(Part::Malformed);
      state_ = State::LastComma;
    }
    if (in.empty()) return {};

    if (state_ == State::Bytes) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size()));
      const auto bytes = in.substr(0, n);
      in.remove_prefix(n);
      left_ -= n;
      outer_ -= n;
      if (left_ == 0) state_ = State::Comma;
      if (elements_ == 0) return {Part::Content, bytes};
      address_.append(bytes);
      continue;
    }

    const char c = in.front();
    in.remove_prefix(1);
    switch (state_) {
      case State::Outer: {
        const auto state = length_.feed(c);
        if (state == NetstringLength::State::Malformed) return fail(Part::Malformed);
        if (state == NetstringLength::State::More) break;
        outer_ = length_.value();
        length_ = {};
        state_ = State::Length;
        break;
      }
      case State::Length: {
        const auto state = outer_-- == 0 ? NetstringLength::State::Malformed : length_.feed(c);
        if (state == NetstringLength::State::Malformed) return fail(Part::Malformed);
        if (state == NetstringLength::State::More) break;
        left_ = length_.value();
        length_ = {};
        if (left_ >= outer_) return fail(Part::Malformed);  // its comma must be inside, too
        if (elements_ > 0 && left_ > address_limit_) return fail(Part::TooLong);
        address_.clear();
        state_ = left_ == 0 ? State::Comma : State::Bytes;
        if (elements_ == 0) {
          content_size_ = left_;
          return {Part::Size, {}};
        }
        break;
      }
      case State::Comma:
        if (c != ',') return fail(Part::Malformed);
        --outer_;
        state_ = State::Length;
        if (++elements_ == 1) break;
        return {elements_ == 2 ? Part::Sender : Part::Recipient, address_};
      case State::LastComma:
        if (c != ',') return fail(Part::Malformed);
        state_ = State::Done;
        break;
      default:
        break;
    }
  }
}

}  // namespace mansio
