// filter-dspam: has DSPAM's daemon look at each message, for each of its recipients, and does with spam what they want;
// mail to certain addresses corrects DSPAM instead. Options and behaviour: README.md.
//
// What cannot be had from DSPAM (no connection, an answer that is none) is a failure of the filter, never a verdict.
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mansio/filter.hpp"
#include "mansio/loop.hpp"
#include "mansio/socket.hpp"
#include "plugins/common/ascii.hpp"
#include "plugins/filter-dspam/client.hpp"
#include "plugins/filter-dspam/header.hpp"
#include "plugins/filter-dspam/opinion.hpp"
#include "plugins/filter-dspam/recipients.hpp"
#include "plugins/filter-dspam/settings.hpp"
#include "plugins/filter-dspam/signature.hpp"

namespace mansio::dspam {
namespace {

using plugin::Cancel;
using plugin::Host;
using plugin::Reply;
using plugin::Stage;
using plugin::Task;
using plugin::Token;

constexpr std::size_t kMostHeader = std::size_t{4} << 20;
constexpr std::size_t kMostCorrection = std::size_t{16} << 20;
constexpr std::size_t kMostForeign = 200;         // fields from outside that only this filter may write
constexpr std::int64_t kPause = 600'000'000'000;  // ns, of a DSPAM that seems to deliver mail itself
// With a signature DSPAM needs no message, but takes no empty one. The user's own could name another user.
constexpr std::string_view kNoMessage = "Subject: correction\r\n\r\ncorrection\r\n";

// A message that is looked at.
struct Job {
  Job(Stage s, std::int64_t now) : stage(std::move(s)), patience(stage.deadline() - now) {}
  Stage stage;
  std::int64_t patience;  // ns for each user
  Cancel cancel;
};

// What DSPAM said of a user, or that it said nothing.
using Said = std::optional<Verdict>;

// What a user wants DSPAM to be told.
struct Correction {
  bool spam = false;
  std::string user;
  std::vector<std::string> signatures;
};

struct Reader {
  std::string address, user;
  Preferences wants;
  const Said *said = nullptr;  // null: it was not asked
};

std::string metadata_name(std::string_view instance) {
  auto name = ascii::lower(instance);
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return !ascii::letter(c) && !ascii::digit(c) && c != '.' && c != '_' && c != '-'; }, '_');
  return "dspam." + name.substr(0, 50);
}

std::string refusal_of(const Answer &answer) {
  return "it answers \"" + std::to_string(answer.code()) + ' ' + answer.text() + '"';
}

bool holds(const std::vector<std::string> &addresses, const std::string &address) {
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const std::string &a) { return ascii::equal_fold(a, address); });
}

class FilterDspam {
 public:
  static constexpr plugin::Info info{"filter-dspam", "1.0", MANSIO_NEEDS_NETWORK};
  static constexpr const mansio_option *options = kOptions;

  explicit FilterDspam(const Host &host)
      : host_(host),
        settings_(read_settings(host)),
        client_(host, settings_),
        note_(metadata_name(host.fact("instance"))),
        spam_(host.counter("dspam_spam_total", "Users for whom DSPAM called a message spam.")),
        innocent_(host.counter("dspam_innocent_total", "Users for whom DSPAM called a message innocent.")),
        corrected_(host.counter("dspam_corrections_total", "Signatures of which DSPAM took a correction.")) {
    plugin::ignore_sigpipe();
  }
  static void check(const plugin::Config &config) { read_settings(config); }
  ~FilterDspam() {
    std::vector<mansio_op> left;
    left.reserve(jobs_.size());
    for (const auto &[id, job] : jobs_) left.push_back({id});
    for (const auto op : left) cancel(op);
  }
  FilterDspam(const FilterDspam &) = delete;
  FilterDspam &operator=(const FilterDspam &) = delete;

  Reply mail(Stage &stage) {
    recipients_.forget(stage.session());
    return paused() ? failure(delivers_) : plugin::skip();
  }
  Reply rcpt(Stage &stage) {
    const auto last = recipients_.add(stage.session(), stage.message_value(note_), std::string{stage.argument(0)});
    return stage.set_message(note_, last) ? plugin::accept() : failure("the host keeps no metadata");
  }
  void end_of_message(Stage stage, Token token) {
    const auto op = token.op();
    auto job = std::make_unique<Job>(std::move(stage), host_.now());
    jobs_[op.id] = job.get();
    auto task = serve(op, std::move(job));
    plugin::answer(std::move(token), std::move(task));
  }
  Reply disconnect(Stage &stage) {
    recipients_.forget(stage.session());
    return plugin::skip();
  }
  void cancel(mansio_op op) {
    if (const auto at = jobs_.find(op.id); at != jobs_.end()) at->second->cancel.request();
  }
  void abort(std::string_view session, std::string_view) { recipients_.forget(session); }

 private:
  static Reply failure(const std::string &why) { return Reply{MANSIO_INTERNAL, {}, why}; }
  Reply unreachable(const std::string &why) const {
    return failure("DSPAM at " + settings_.server.name() + ": " + why);
  }
  bool paused() const { return host_.now() < paused_until_; }

  Task<Reply> serve(mansio_op op, std::unique_ptr<Job> job) {
    struct Leave {
      std::map<std::uint64_t, Job *> &jobs;
      std::uint64_t id;
      ~Leave() { jobs.erase(id); }
    } const leave{jobs_, op.id};
    auto reply = co_await work(*job);
    co_return reply;
  }

  // DSPAM is corrected last, when nothing else keeps the message from being taken: its client would come again, and so
  // would the correction.
  Task<Reply> work(Job &job) {
    auto &stage = job.stage;
    const auto given = recipients_.take(stage.session(), stage.message_value(note_));
    if (given.empty()) co_return failure("it has not seen the recipients of this message");
    if (paused()) co_return failure(delivers_);
    bool fine = stage.set_message(note_, "");

    std::vector<Reader> readers;
    std::vector<std::string> corrections;
    bool spam = false, ham = false;
    for (const auto &recipient : given) {
      const auto address = fold_domain(recipient);
      const bool is_spam = holds(settings_.train_spam, address), is_ham = holds(settings_.train_ham, address);
      spam = spam || is_spam;
      ham = ham || is_ham;
      if (is_spam || is_ham) {
        corrections.push_back(recipient);
        continue;
      }
      const auto box = mailbox(recipient);
      readers.push_back({box, to_user(settings_.user.of(box)), settings_.defaults, nullptr});
    }
    if (spam && ham) co_return plugin::reject({5, 1, 3}, "a message cannot be both spam and no spam");
    Correction wanted;
    wanted.spam = spam;
    if (!corrections.empty()) {
      if (auto refusal = prepare(stage, wanted)) co_return std::move(*refusal);
    }
    if (readers.empty()) {
      fine = fine && stage.discard("DSPAM was corrected with it");
    } else {
      for (const auto &address : corrections) fine = fine && stage.delete_recipient(address);
      auto judged = co_await judge(job, readers);
      if (judged.status() != MANSIO_OK) co_return judged;
    }
    if (!fine) co_return failure("the host refused an edit");
    if (!corrections.empty()) {
      auto refusal = co_await correct(job, wanted);
      if (refusal) co_return std::move(*refusal);
    }
    co_return plugin::accept();
  }

  std::string mailbox(std::string_view address) const {
    return mailbox_of(address, settings_.fold_case, settings_.recipient_delimiter);
  }

  Task<Reply> judge(Job &job, std::vector<Reader> &readers) {
    const auto head = read_head(job.stage);
    if (!head) co_return failure("the message cannot be read");
    const auto fields = parse_fields(*head);
    const auto foreign = foreign_fields(fields);
    const bool long_name =
        std::any_of(foreign.begin(), foreign.end(), [](const Field *f) { return f->name.size() > kLongestName; });
    // The host would refuse the edits.
    if (foreign.size() > kMostForeign || long_name)
      co_return plugin::reject({5, 6, 0}, "too many header fields that are DSPAM's, or one with too long a name");
    std::map<std::string, Said> said;
    const auto length = job.stage.length();
    // DSPAM takes no empty message.
    if (length != 0 && (settings_.max_size == 0 || length <= settings_.max_size)) {
      const auto problem = co_await ask(job, readers, said);
      if (!problem.empty()) co_return failure(problem);
    }
    co_return conclude(job.stage, readers, fields, foreign);
  }

  // Each user once. "", or why the filter fails.
  Task<std::string> ask(Job &job, std::vector<Reader> &readers, std::map<std::string, Said> &said) {
    for (auto &reader : readers) {
      if (!settings_.preferences.empty()) {
        const auto wanted = co_await plugin::TableLookup{host_, settings_.preferences, reader.address, &job.cancel};
        auto problem = prefer(reader, wanted);
        if (!problem.empty()) co_return problem;
      }
      if (!reader.wants.enabled) continue;
      const auto known = said.find(reader.user);
      if (known != said.end()) {
        reader.said = &known->second;
        continue;
      }
      const auto request = question(job.stage, reader.user);
      const auto exchange = co_await client_.send(request, host_.now() + job.patience, job.cancel);
      auto &verdict = said[reader.user];
      reader.said = &verdict;
      auto problem = heed(exchange, reader.user, verdict);
      if (!problem.empty()) co_return problem;
      job.stage.progress();
    }
    co_return std::string{};
  }

  std::string prefer(Reader &reader, const Reply &found) const {
    if (found.status() == MANSIO_NOT_FOUND) return {};
    if (found.status() != MANSIO_OK) return "table " + settings_.preferences + " does not answer";
    for (const auto &value : found.values())
      if (const auto wrong = reader.wants.apply(value); !wrong.empty())
        return "table " + settings_.preferences + " has for " + reader.address + ": " + wrong;
    return {};
  }

  Request question(const Stage &stage, const std::string &user) const {
    Request request;
    request.from = settings_.dlmtp ? settings_.password + '@' + settings_.ident : std::string{stage.macro("sender")};
    if (settings_.dlmtp) {
      request.parameters = settings_.parameters;
      if (!settings_.training_mode.empty()) request.parameters += " --mode=" + settings_.training_mode;
    }
    request.user = user;
    request.read = [&stage](std::uint64_t offset, char *to, std::size_t n) { return stage.read(offset, to, n); };
    return request;
  }

  std::string heed(const Exchange &exchange, const std::string &user, Said &to) {
    const auto at = "DSPAM at " + settings_.server.name() + ": ";
    if (!exchange.answer) return at + exchange.failure;
    const auto &answer = *exchange.answer;
    switch (answer.kind()) {
      case Answer::Kind::Verdict:
        judges_ = true;
        to = answer.verdict();
        host_.add(to->spam ? spam_ : innocent_);
        return {};
      case Answer::Kind::Refused:
        return at + refusal_of(answer);
      case Answer::Kind::Taken:
        if (may_deliver()) return suspect(at);
        break;
      case Answer::Kind::None:
        break;
    }
    if (settings_.silence_accepts) return {};
    return at + "it did not look at the message for " + user + "; its log says why (see no_verdict)";
  }

  // DSPAM 3.10.2 says that it took a message also of one that it did not look at. Told --deliver=summary, as it is in
  // DLMTP by us, it delivers none; in LMTP a verdict shows that its ServerParameters say so.
  bool may_deliver() const { return !settings_.dlmtp && !judges_; }

  // "", or why the filter fails. The client, who is told to come again then, would bring a copy for delivery each time.
  std::string suspect(const std::string &at) {
    auto why = at +
               "it delivered the message itself, or did not look at it; its ServerParameters must have "
               "--deliver=summary (see no_verdict)";
    if (settings_.silence_accepts) {
      host_.warn(why);
      return {};
    }
    delivers_ = why;
    paused_until_ = host_.now() + kPause;
    return why;
  }

  // What the readers are told of the message, and what becomes of it.
  Reply conclude(Stage &stage, const std::vector<Reader> &readers, const std::vector<Field> &fields,
                 const std::vector<const Field *> &foreign) const {
    std::vector<Opinion> opinions;
    for (const auto &reader : readers) {
      const bool spam = reader.said && *reader.said && (*reader.said)->spam;
      opinions.push_back({spam, spam ? reader.wants.action : Action::Accept});
    }
    const auto decider = decide(settings_.mixed, opinions);
    const auto &reader = readers[decider];
    const auto action = opinions[decider].action;

    bool fine = clean(stage, foreign);
    if (action == Action::Tag && !reader.wants.subject.empty()) {
      const auto subject = std::find_if(fields.begin(), fields.end(),
                                        [](const Field &f) { return ascii::equal_fold(f.name, "Subject"); });
      const auto old = subject == fields.end() ? std::string{} : subject->value;
      const auto tagged = tagged_subject(reader.wants.subject, old);
      // The host may refuse what the sender wrote: then there is the tag alone.
      fine = fine && (tagged == old || stage.change_header("Subject", 1, tagged) ||
                      stage.change_header("Subject", 1, reader.wants.subject));
    }
    if (reader.said && *reader.said) {
      const auto &verdict = **reader.said;
      fine = fine && stage.add_header("X-DSPAM-Result", verdict.word);
      if (!verdict.confidence.empty()) fine = fine && stage.add_header("X-DSPAM-Confidence", verdict.confidence);
      if (!verdict.probability.empty()) fine = fine && stage.add_header("X-DSPAM-Probability", verdict.probability);
    }
    if (opinions[decider].spam && !settings_.spam_header_name.empty())
      fine = fine && stage.add_header(settings_.spam_header_name, settings_.spam_header_value);
    for (const auto &signature : signatures(readers))
      fine = fine && stage.add_header(settings_.signature_header, signature);
    if (action == Action::Reject) return plugin::reject({5, 7, 1}, settings_.reject_text);
    if (action == Action::Quarantine) fine = fine && stage.hold("DSPAM calls it spam for " + reader.user);
    return fine ? plugin::accept() : failure("the host refused an edit");
  }

  // One for each user whose DSPAM has learnt from the message.
  static std::vector<std::string> signatures(const std::vector<Reader> &readers) {
    std::vector<std::string> all;
    for (const auto &reader : readers) {
      if (!reader.said || !*reader.said || all.size() >= kMostSignatures) continue;
      const auto &signature = (*reader.said)->signature;
      if (!signature.empty() && std::find(all.begin(), all.end(), signature) == all.end()) all.push_back(signature);
    }
    return all;
  }

  // Fields that only this filter may write, from outside.
  std::vector<const Field *> foreign_fields(const std::vector<Field> &fields) const {
    std::vector<const Field *> foreign;
    for (const auto &field : fields)
      if ((field.name.size() > 8 && ascii::equal_fold(field.name.substr(0, 8), "X-DSPAM-")) ||
          ascii::equal_fold(field.name, settings_.signature_header) ||
          ascii::equal_fold(field.name, settings_.spam_header_name))
        foreign.push_back(&field);
    return foreign;
  }

  // From the last to the first, so that their numbers hold.
  static bool clean(Stage &stage, const std::vector<const Field *> &foreign) {
    bool fine = true;
    for (auto field = foreign.rbegin(); field != foreign.rend(); ++field)
      fine = fine && stage.delete_header((*field)->name, (*field)->nth);
    return fine;
  }

  static std::optional<std::string> read_head(const Stage &stage) {
    std::string head;
    while (head.size() < kMostHeader) {
      const auto had = head.size();
      head.resize(had + 16384);
      const auto n = stage.read(had, head.data() + had, 16384);
      if (n < 0) return std::nullopt;
      head.resize(had + static_cast<std::size_t>(n));
      if (n == 0 || head.find("\r\n\r\n", had < 3 ? 0 : had - 3) != head.npos) break;
    }
    return head;
  }

  // A user's mail about mail that DSPAM judged wrongly, or why it is none.
  std::optional<Reply> prepare(const Stage &stage, Correction &to) const {
    const bool trusted = stage.macro("client_trusted") == "true" || !stage.macro("auth_user").empty();
    if (!trusted && !settings_.train_from_anyone)
      return plugin::reject({5, 7, 1}, "corrections are taken from users of this site only");
    to.user = settings_.train_user.of(mailbox(stage.macro("sender")));
    if (to.user.empty()) return plugin::reject({5, 7, 1}, "the sender is no user of DSPAM");
    to.user = to_user(std::move(to.user));
    const auto content = stage.content(kMostCorrection);
    if (!content) return plugin::reject({5, 3, 4}, "the message is too large for a correction");
    to.signatures = find_signatures(*content, settings_.signature_header);
    if (to.signatures.empty()) return plugin::reject({5, 6, 0}, "there is no signature of DSPAM in the message");
    // By one with a number before a comma DSPAM corrects that user, whoever sends it.
    std::erase_if(to.signatures, [](const std::string &s) { return s.find(',') != s.npos; });
    if (to.signatures.empty()) return plugin::reject({5, 7, 1}, "signatures that name a user are not taken");
    return std::nullopt;
  }

  // Nothing: DSPAM was corrected.
  Task<std::optional<Reply>> correct(Job &job, const Correction &wanted) {
    auto &stage = job.stage;
    std::size_t taken = 0;
    for (const auto &signature : wanted.signatures) {
      const auto request = correction(wanted.user, signature, wanted.spam);
      const auto exchange = co_await client_.send(request, host_.now() + job.patience, job.cancel);
      std::string problem;
      if (!exchange.answer)
        problem = exchange.failure;
      else if (exchange.answer->kind() == Answer::Kind::Refused)
        problem = refusal_of(*exchange.answer);
      if (!problem.empty() && taken == 0) co_return unreachable(problem);
      if (!problem.empty()) {  // the client would come again with those that were taken, too
        host_.warn("not all of " + wanted.user + "'s corrections were taken: " + problem, stage.op());
        break;
      }
      stage.progress();
      // Of a signature that it does not know, as of another user's, it says nothing.
      if (exchange.answer->kind() != Answer::Kind::Verdict) continue;
      ++taken;
      host_.add(corrected_);
      host_.info("corrected: " + signature + " of " + wanted.user + " is " + (wanted.spam ? "spam" : "no spam"),
                 stage.op());
    }
    if (taken == 0) co_return plugin::reject({5, 6, 0}, "DSPAM knows no such signature of " + wanted.user);
    co_return std::nullopt;
  }

  Request correction(const std::string &user, const std::string &signature, bool spam) const {
    Request request;
    request.from = settings_.password + '@' + settings_.ident;
    request.parameters = std::string{"--deliver=summary --source=error --class="} + (spam ? "spam" : "innocent") +
                         " --signature=" + signature;
    request.user = user;
    request.read = [](std::uint64_t offset, char *to, std::size_t n) -> std::int64_t {
      const auto left = kNoMessage.substr(std::min<std::size_t>(static_cast<std::size_t>(offset), kNoMessage.size()));
      return static_cast<std::int64_t>(left.copy(to, n));
    };
    return request;
  }

  Host host_;
  const Settings settings_;
  Client client_;
  const std::string note_;  // name of the metadata, see recipients.hpp
  std::uint32_t spam_, innocent_, corrected_;
  Recipients recipients_;
  bool judges_ = false;                  // DSPAM has given a verdict
  std::string delivers_;                 // why nothing is shown to DSPAM
  std::int64_t paused_until_ = 0;        // until when; see suspect()
  std::map<std::uint64_t, Job *> jobs_;  // owned by their coroutines
};

}  // namespace
}  // namespace mansio::dspam

MANSIO_FILTER_PLUGIN(mansio::dspam::FilterDspam)
