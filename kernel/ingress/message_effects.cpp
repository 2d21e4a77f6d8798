#include "kernel/ingress/message_effects.hpp"

#include <limits>
#include <utility>

#include "kernel/mail/duplicates.hpp"
#include "kernel/mail/new_mail.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

void add(Envelope &envelope, Recipient recipient, Target &&target) {
  recipient.address = std::move(target.address);
  // An alias may lead where only SMTPUTF8 does.
  if (!is_ascii(recipient.address)) envelope.smtputf8 = true;
  add_recipient(envelope, std::move(recipient), std::move(target.route));
}

}  // namespace

void MessageEffects::add(MessageEffects &&more) {
  discard = discard || more.discard;
  hold = hold || more.hold;
  if (more.redirect) redirect = std::move(more.redirect);
  prepend += more.prepend;
  if (!more.filter.empty()) filter = std::move(more.filter);
}

void add_recipients(Envelope &envelope, const Recipient &asked, std::vector<Target> &&targets,
                    std::vector<Target> &&copies) {
  for (auto &target : targets) add(envelope, asked, std::move(target));
  Recipient copy;
  copy.notify = kNotifyNever;
  for (auto &target : copies) add(envelope, copy, std::move(target));
}

void settle(MessageEffects &effects, Envelope &envelope) {
  if (effects.redirect) {
    envelope.recipients.clear();
    envelope.routes.clear();
    add(envelope, {}, std::move(*effects.redirect));
  }
  envelope.content_filter = effects.filter;
  if (effects.hold) envelope.hold_until = std::numeric_limits<Nanos>::max();
  merge_duplicates(envelope.recipients);
}

}  // namespace mansio::ingress
