#include "kernel/egress/generic_maps.hpp"

#include <fmt/format.h>

#include <utility>

#include "kernel/egress/new_header.hpp"
#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/route/header_rewriting.hpp"

namespace mansio::egress {

// Lives as long as the coroutine that works on it, which may be longer than the transport: what it needs then it holds.
struct GenericMaps::Work {
  Work(std::shared_ptr<const route::Generic> m, route::Search s, const wire::Lease &l, host::MessageSource source)
      : maps(std::move(m)), search(std::move(s)), lease(l), message(std::move(source)) {}

  Task<Result<void>> run();
  Task<Result<void>> replace(route::AddressClass what, std::string &address);
  Task<Result<void>> replace_header();
  // Its end is of no interest any more.
  void give_up() {
    over = true;
    search.stop();
  }

  std::shared_ptr<const route::Generic> maps;
  route::Search search;
  wire::Lease lease;
  host::MessageSource message;
  bool changed = false, over = false;
  bool unreadable = false;  // what failed was no table
};

Task<Result<void>> GenericMaps::Work::run() {
  auto done = co_await replace(route::AddressClass::EnvelopeSender, lease.sender);
  if (!done) co_return done.error();
  // A transport that is given no next hop would look for it by the new address.
  auto nexthop = lease.nexthop;
  if (nexthop.empty() && !lease.recipients.empty()) nexthop = split_address(lease.recipients.front().address).domain;
  const bool sender = std::exchange(changed, false);
  for (auto &recipient : lease.recipients) {
    done = co_await replace(route::AddressClass::EnvelopeRecipient, recipient.address);
    if (!done) co_return done.error();
  }
  if (changed) lease.nexthop = std::move(nexthop);
  changed |= sender;
  done = co_await replace_header();
  co_return done;
}

Task<Result<void>> GenericMaps::Work::replace(route::AddressClass what, std::string &address) {
  std::string given{address};
  auto mapped = co_await maps->find(search, what, std::move(given));
  if (mapped.later) co_return Error{Status::Defer, std::move(mapped.text)};
  if (!mapped.addresses.empty() && mapped.addresses.front() != address) {
    address = std::move(mapped.addresses.front());
    changed = true;
    if (!is_ascii(address)) lease.smtputf8 = true;
  }
  co_return Result<void>{};
}

Task<Result<void>> GenericMaps::Work::replace_header() {
  const auto read = read_header(message);
  unreadable = !read;
  if (!read) co_return read.error();
  const auto &before = *read;
  std::string section{before};
  const auto rewritten = co_await route::rewrite_header(search, *maps, std::move(section));
  if (!rewritten) co_return rewritten.error();
  const auto &after = *rewritten;
  if (after == before) co_return Result<void>{};
  auto made = with_header(message, before.size(), after);
  unreadable = !made;
  if (!made) co_return made.error();
  message = std::move(*made);
  changed = true;
  lease.body.size += after.size();
  lease.body.size -= before.size();
  // An address in UTF-8 in a header that was ASCII needs what such a header always needs (RFC 6532); without the last
  // of them nothing of it is needed any more.
  const bool utf8 = !is_ascii(after);
  lease.body.eight_bit_header = utf8;
  if (utf8) lease.body.eight_bit = true;
  if (utf8 && is_ascii(before)) lease.smtputf8 = true;
  co_return Result<void>{};
}

GenericMaps::GenericMaps(asio::io_context &loop, const Clock &clock, Logger &log, std::string transport,
                         std::shared_ptr<const route::Generic> maps, io::Tables &tables,
                         std::unique_ptr<host::TransportInstance> inner, Defer defer)
    : loop_(loop),
      clock_(clock),
      log_(log),
      name_(std::move(transport)),
      maps_(std::move(maps)),
      tables_(tables),
      inner_(std::move(inner)),
      defer_(std::move(defer)) {}

GenericMaps::~GenericMaps() {
  for (const auto &[lease, work] : works_) work->give_up();
}

void GenericMaps::start(const wire::Lease &lease, host::MessageSource message) {
  const auto work = std::make_shared<Work>(maps_, route::Search{loop_, clock_, tables_}, lease, std::move(message));
  works_[lease.lease] = work;
  asio::co_spawn(loop_, rewrite(work), asio::detached);
}

Task<> GenericMaps::rewrite(std::shared_ptr<Work> work) {
  const auto done = co_await work->run();
  if (work->over) co_return;  // told to give up, or this is no more
  const auto number = work->lease.lease;
  works_.erase(number);
  questions_ += work->search.asked();
  if (!done) {
    log_.warn(work->unreadable ? "header not rewritten" : "table asked in vain",
              {{"qid", work->lease.id}, {"transport", name_}, {"reason", done.error().text}});
    put_off(number, work->unreadable ? "the message cannot be read now" : "Temporary lookup failure");
    co_return;
  }
  // An attempt that begins after its end would count as one of which nobody knows how it went.
  if (work->lease.deadline > 0 && clock_.mono() >= work->lease.deadline) {
    put_off(number, "no time is left for the delivery");
    co_return;
  }
  rewritten_ += work->changed;
  inner_->start(work->lease, std::move(work->message));
}

void GenericMaps::put_off(std::uint64_t lease, std::string why) {
  ++deferred_;
  wire::RecipientOutcome outcome;
  outcome.status = wire::DeliveryStatus::Deferred;
  outcome.enhanced = {4, 3, 0};
  outcome.text = std::move(why);
  outcome.relay = "none";
  defer_(lease, outcome);
}

void GenericMaps::cancel(std::uint64_t lease) {
  auto node = works_.extract(lease);
  if (node.empty()) return inner_->cancel(lease);
  node.mapped()->give_up();
  put_off(lease, "cancelled before it began");
}

void GenericMaps::stats(const host::StatsSink &add) const {
  const auto labels = fmt::format("{{transport=\"{}\"}}", name_);
  add("mansio_generic_questions_total" + labels, static_cast<double>(questions_));
  add("mansio_generic_rewritten_total" + labels, static_cast<double>(rewritten_));
  add("mansio_generic_deferred_total" + labels, static_cast<double>(deferred_));
  inner_->stats(add);
}

}  // namespace mansio::egress
