// The stored form of an Envelope: one octet for the encoding (1), then fields until the end of the bytes, each
//
//   tag (varint)  length (varint)  value (length octets)
//
// Integers are varints inside their value, times (nanoseconds) included; texts are their octets. A field with its
// default value is left out ("unknown" is that of client_name if there is a client_address). Unknown tags are skipped,
// so a later version may add any; none is ever reused, and a change of meaning takes a new tag. A field occurs once,
// except those marked *.
//
//   tag  field              tag  field                tag  field
//    1   sender              20  client_address        40  tenant
//    2 * recipient           21  client_name           41  campaign
//    3 * route               22  client_port           42  source_pool
//    4   config_epoch        23  helo                  43  priority
//    5   arrival             24  protocol              44  hold_until
//    6   body.size           25  tls_version           45  dsn_parent: id
//    7   body flags          26  tls_cipher            46  dsn_parent: event
//    8   body.hops           27  auth_user             47 * metadata
//    9   ret                 28  listener
//   10   envid               29  origin               48  restored: spool
//   11   message flags       30  content_filter       49  restored: id
//                            31  auth_method
//                            32  auth_sender
//
//   body flags: 1 leading dots, 2 eight-bit, 4 eight-bit header
//   message flags: 1 8BITMIME, 2 SMTPUTF8, 4 REQUIRETLS
//   recipient, a sequence of the same form: 1 address, 2 original, 3 orcpt, 4 notify, 5 route (index)
//   route: 1 transport, 2 nexthop         metadata: 1 key, 2 value
//   origin: 1 name, 2 address, 3 helo, 4 protocol, 5 ident, 6 port, 7 local (0 or 1)
#include "kernel/mail/envelope.hpp"

#include <limits>

#include "kernel/base/codec.hpp"

namespace mansio {
namespace {

constexpr char kEncoding = 1;
constexpr std::string_view kUnknown = "unknown";  // the name of a client that has none: an address without a name

enum Tag : std::uint64_t {
  kSender = 1,
  kRecipient = 2,
  kRoute = 3,
  kConfigEpoch = 4,
  kArrival = 5,
  kBodySize = 6,
  kBodyFlags = 7,
  kBodyHops = 8,
  kRet = 9,
  kEnvid = 10,
  kFlags = 11,
  kClientAddress = 20,
  kClientName = 21,
  kClientPort = 22,
  kHelo = 23,
  kProtocol = 24,
  kTlsVersion = 25,
  kTlsCipher = 26,
  kAuthUser = 27,
  kListener = 28,
  kOrigin = 29,
  kContentFilter = 30,
  kAuthMethod = 31,
  kAuthSender = 32,
  kTenant = 40,
  kCampaign = 41,
  kSourcePool = 42,
  kPriority = 43,
  kHoldUntil = 44,
  kParentId = 45,
  kParentEvent = 46,
  kMetadata = 47,
  kRestoredSpool = 48,
  kRestoredId = 49,
};
enum RecipientTag : std::uint64_t { kAddress = 1, kOriginal = 2, kOrcpt = 3, kNotify = 4, kRouteIndex = 5 };
enum OriginTag : std::uint64_t {
  kOriginName = 1,
  kOriginAddress = 2,
  kOriginHelo = 3,
  kOriginProtocol = 4,
  kOriginIdent = 5,
  kOriginPort = 6,
  kOriginLocal = 7,
};
enum PairTag : std::uint64_t { kFirst = 1, kSecond = 2 };

constexpr unsigned kLeadingDots = 1, kEightBit = 2, kEightBitHeader = 4;
constexpr unsigned kEightBitMime = 1, kSmtpUtf8 = 2, kRequireTls = 4;
constexpr std::uint8_t kAllNotify = kNotifyNever | kNotifySuccess | kNotifyFailure | kNotifyDelay;

class Writer {
 public:
  explicit Writer(std::string &out) : out_(out), encoder_(out) {}

  void text(std::uint64_t tag, std::string_view value) {
    if (!value.empty()) always(tag, value);
  }
  void always(std::uint64_t tag, std::string_view value) {
    encoder_.varint(tag);
    encoder_.put(value);
  }
  void number(std::uint64_t tag, std::uint64_t value) {
    if (value == 0) return;
    encoder_.varint(tag);
    const auto length_at = out_.size();
    out_.push_back(0);
    encoder_.varint(value);  // at most ten octets, so its length is one
    out_[length_at] = static_cast<char>(out_.size() - length_at - 1);
  }

 private:
  std::string &out_;
  Encoder encoder_;
};

// Walks the fields of one level. A wrong value or a second occurrence makes the whole envelope unreadable.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : decoder_(bytes) {}

  bool next() {
    if (!ok_ || decoder_.finished()) return false;
    tag_ = decoder_.varint();
    decoder_.get(value_);
    ok_ = decoder_.ok();
    return ok_;
  }
  std::uint64_t tag() const { return tag_; }
  std::string_view value() const { return value_; }
  bool ok() const { return ok_; }
  void fail() { ok_ = false; }

  void text(std::string &to) {
    once();
    to = value_;
  }
  template <class T>
  void number(T &to, std::uint64_t most = std::numeric_limits<T>::max()) {
    once();
    Decoder d{value_};
    const auto n = d.varint();
    if (!d.finished() || n > most) return fail();
    to = static_cast<T>(n);
  }

 private:
  void once() {  // every tag of version 1 is below 64
    const auto bit = std::uint64_t{1} << tag_;
    if (seen_ & bit) fail();
    seen_ |= bit;
  }

  Decoder decoder_;
  std::uint64_t tag_ = 0, seen_ = 0;
  std::string_view value_;
  bool ok_ = true;
};

void write_pair(std::string &out, std::string_view first, std::string_view second) {
  out.clear();
  Writer w{out};
  w.text(kFirst, first);
  w.text(kSecond, second);
}

bool read_pair(std::string_view bytes, std::string &first, std::string &second) {
  FieldReader r{bytes};
  while (r.next()) {
    if (r.tag() == kFirst) r.text(first);
    if (r.tag() == kSecond) r.text(second);
  }
  return r.ok();
}

bool read_recipient(std::string_view bytes, Recipient &recipient) {
  FieldReader r{bytes};
  while (r.next()) {
    switch (r.tag()) {
      case kAddress:
        r.text(recipient.address);
        break;
      case kOriginal:
        r.text(recipient.original);
        break;
      case kOrcpt:
        r.text(recipient.orcpt);
        break;
      case kNotify:
        r.number(recipient.notify, kAllNotify);
        break;
      case kRouteIndex:
        r.number(recipient.route);
        break;
      default:
        break;
    }
  }
  return r.ok() && !recipient.address.empty();
}

bool read_origin(std::string_view bytes, Origin &origin) {
  FieldReader r{bytes};
  while (r.next()) {
    switch (r.tag()) {
      case kOriginName:
        r.text(origin.name);
        break;
      case kOriginAddress:
        r.text(origin.address);
        break;
      case kOriginHelo:
        r.text(origin.helo);
        break;
      case kOriginProtocol:
        r.text(origin.protocol);
        break;
      case kOriginIdent:
        r.text(origin.ident);
        break;
      case kOriginPort:
        r.number(origin.port);
        break;
      case kOriginLocal: {
        std::uint8_t local = 0;
        r.number(local, 1);
        origin.local = local != 0;
        break;
      }
      default:
        break;
    }
  }
  return r.ok();
}

void read_flags(FieldReader &r, Envelope &e) {
  unsigned flags = 0;
  r.number(flags);
  if (r.tag() == kBodyFlags) {
    e.body.leading_dots = flags & kLeadingDots;
    e.body.eight_bit = flags & kEightBit;
    e.body.eight_bit_header = flags & kEightBitHeader;
  } else {
    e.body_type = flags & kEightBitMime ? BodyType::EightBitMime : BodyType::SevenBit;
    e.smtputf8 = flags & kSmtpUtf8;
    e.require_tls = flags & kRequireTls;
  }
}

void read_field(FieldReader &r, Envelope &e) {
  constexpr auto kMaxTime = static_cast<std::uint64_t>(std::numeric_limits<Nanos>::max());
  switch (r.tag()) {
    case kSender:
      return r.text(e.sender);
    case kRecipient:
      if (!read_recipient(r.value(), e.recipients.emplace_back())) r.fail();
      return;
    case kRoute: {
      auto &route = e.routes.emplace_back();
      if (!read_pair(r.value(), route.transport, route.nexthop)) r.fail();
      return;
    }
    case kConfigEpoch:
      return r.number(e.config_epoch);
    case kArrival:
      return r.number(e.arrival, kMaxTime);
    case kBodySize:
      return r.number(e.body.size);
    case kBodyFlags:
    case kFlags:
      return read_flags(r, e);
    case kBodyHops:
      return r.number(e.body.hops);
    case kRet:
      return r.number(e.ret, static_cast<std::uint64_t>(Ret::Hdrs));
    case kEnvid:
      return r.text(e.envid);
    case kClientAddress:
      return r.text(e.client_address);
    case kClientName:
      return r.text(e.client_name);
    case kClientPort:
      return r.number(e.client_port);
    case kHelo:
      return r.text(e.helo);
    case kProtocol:
      return r.text(e.protocol);
    case kTlsVersion:
      return r.text(e.tls_version);
    case kTlsCipher:
      return r.text(e.tls_cipher);
    case kAuthUser:
      return r.text(e.auth_user);
    case kAuthMethod:
      return r.text(e.auth_method);
    case kAuthSender:
      return r.text(e.auth_sender);
    case kListener:
      return r.text(e.listener);
    case kOrigin:
      if (e.origin || !read_origin(r.value(), e.origin.emplace())) r.fail();
      return;
    case kContentFilter:
      return r.text(e.content_filter);
    case kTenant:
      return r.text(e.tenant);
    case kCampaign:
      return r.text(e.campaign);
    case kSourcePool:
      return r.text(e.source_pool);
    case kPriority:
      return r.number(e.priority);
    case kHoldUntil:
      return r.number(e.hold_until, kMaxTime);
    case kParentId:
      return r.number(e.dsn_parent.id.value);
    case kParentEvent:
      return r.number(e.dsn_parent.event);
    case kMetadata: {
      auto &entry = e.metadata.emplace_back();
      if (!read_pair(r.value(), entry.first, entry.second)) r.fail();
      return;
    }
    case kRestoredSpool:
      return r.number(e.restored.spool);
    case kRestoredId:
      return r.number(e.restored.id.value);
    default:
      return;  // of a later version
  }
}

// Null, or what is wrong with the bytes.
const char *read_envelope(std::string_view bytes, Envelope &e) {
  if (bytes.empty() || bytes.front() != kEncoding) return "the envelope has an encoding this version does not know";
  FieldReader r{bytes.substr(1)};
  while (r.next()) {
    read_field(r, e);
  }
  if (!r.ok()) return "the envelope is damaged";
  for (const auto &recipient : e.recipients) {
    // Without any route, as before routing, every index is 0.
    if (recipient.route != 0 && recipient.route >= e.routes.size())
      return "an envelope's recipient names a route it has not";
  }
  if (e.client_name.empty() && !e.client_address.empty()) e.client_name = kUnknown;
  return nullptr;
}

}  // namespace

std::string encode_envelope(const Envelope &e) {
  std::string out(1, kEncoding), inner;
  out.reserve(256 + 64 * e.recipients.size());
  Writer w{out};
  w.text(kSender, e.sender);
  for (const auto &recipient : e.recipients) {
    inner.clear();
    Writer r{inner};
    r.text(kAddress, recipient.address);
    r.text(kOriginal, recipient.original);
    r.text(kOrcpt, recipient.orcpt);
    r.number(kNotify, recipient.notify);
    r.number(kRouteIndex, recipient.route);
    w.always(kRecipient, inner);
  }
  for (const auto &route : e.routes) {
    write_pair(inner, route.transport, route.nexthop);
    w.always(kRoute, inner);
  }
  w.number(kConfigEpoch, e.config_epoch);
  w.number(kArrival, static_cast<std::uint64_t>(e.arrival));
  w.number(kBodySize, e.body.size);
  w.number(kBodyFlags, (e.body.leading_dots ? kLeadingDots : 0) | (e.body.eight_bit ? kEightBit : 0) |
                           (e.body.eight_bit_header ? kEightBitHeader : 0));
  w.number(kBodyHops, e.body.hops);
  w.number(kRet, static_cast<std::uint64_t>(e.ret));
  w.text(kEnvid, e.envid);
  w.number(kFlags, (e.body_type == BodyType::EightBitMime ? kEightBitMime : 0) | (e.smtputf8 ? kSmtpUtf8 : 0) |
                       (e.require_tls ? kRequireTls : 0));
  w.text(kClientAddress, e.client_address);
  if (e.client_name != kUnknown) w.text(kClientName, e.client_name);
  w.number(kClientPort, e.client_port);
  w.text(kHelo, e.helo);
  w.text(kProtocol, e.protocol);
  w.text(kTlsVersion, e.tls_version);
  w.text(kTlsCipher, e.tls_cipher);
  w.text(kAuthUser, e.auth_user);
  w.text(kListener, e.listener);
  if (e.origin) {
    inner.clear();
    Writer o{inner};
    o.text(kOriginName, e.origin->name);
    o.text(kOriginAddress, e.origin->address);
    o.text(kOriginHelo, e.origin->helo);
    o.text(kOriginProtocol, e.origin->protocol);
    o.text(kOriginIdent, e.origin->ident);
    o.number(kOriginPort, e.origin->port);
    o.number(kOriginLocal, e.origin->local ? 1 : 0);
    w.always(kOrigin, inner);
  }
  w.text(kContentFilter, e.content_filter);
  w.text(kAuthMethod, e.auth_method);
  w.text(kAuthSender, e.auth_sender);
  w.text(kTenant, e.tenant);
  w.text(kCampaign, e.campaign);
  w.text(kSourcePool, e.source_pool);
  w.number(kPriority, e.priority);
  w.number(kHoldUntil, static_cast<std::uint64_t>(e.hold_until));
  w.number(kParentId, e.dsn_parent.id.value);
  w.number(kParentEvent, e.dsn_parent.event);
  for (const auto &[key, value] : e.metadata) {
    write_pair(inner, key, value);
    w.always(kMetadata, inner);
  }
  w.number(kRestoredSpool, e.restored.spool);
  w.number(kRestoredId, e.restored.id.value);
  return out;
}

// Read where it is returned: there are too many texts in it to move them for nothing.
Result<Envelope> decode_envelope(std::string_view bytes) {
  Result<Envelope> envelope{Envelope{}};
  if (const auto *problem = read_envelope(bytes, *envelope)) envelope = Error{Status::Fail, problem, {5, 3, 0}};
  return envelope;
}

}  // namespace mansio
