// mansio/submit.hpp: mail that a plugin puts into the queue (mansio/draft/services.h) as C++20, header-only.
//
//   class Alarm {
//    public:
//     static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;  // of a plugin whose kind is no draft
//     explicit Alarm(Host host) : submitter_(host) {}
//     Task<Reply> warn() {
//       const auto said = co_await Submit{submitter_, {.sender = "", .recipients = {"root@example.com"},
//                                                      .content = "Subject: full\n\nThe disk is full.\n"}};
//       if (!said.taken()) ...  // said.status, said.text
//     }
//
// What is taken is on stable storage. DEFER says that it is not taken as far as is known; where a process of Mansio
// died meanwhile it may have been, so who submits again may make a duplicate.
//
// The service is a draft: a plugin loads only where MANSIO_DRAFT_BUILD is the host's.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mansio/draft/services.h"
#include "mansio/loop.hpp"
#include "mansio/plugin.hpp"

namespace mansio::plugin {

struct Submission {
  std::string sender{};  // "" = null sender: nobody is told what becomes of it
  std::vector<std::string> recipients{};
  std::string content{};    // whole message; any line ends
  std::uint32_t flags = 0;  // MANSIO_MSG_SMTPUTF8, MANSIO_MSG_BODY_8BITMIME
  std::vector<std::pair<std::string, std::string>> metadata{};
};

struct Submitted {
  mansio_status status = MANSIO_DEFER;  // OK, DEFER, FAIL; of a co_await that is cancelled CANCELLED
  std::string text{};                   // of OK the queue id
  bool taken() const { return status == MANSIO_OK; }
};

// Handle on the service; copy it freely. Throws BadConfig where the host does not offer it.
class Submitter {
 public:
  explicit Submitter(Host host)
      : host_(host.raw()), table_(host.service<mansio_host_submit>("mansio.host.submit/1~draft")) {}

  // [any] `done` runs once, later, on the loop. May throw bad_alloc, and then nothing was submitted.
  void submit(const Submission &mail, mansio_submit_fn done, void *arg) const {
    std::vector<mansio_str> recipients;
    recipients.reserve(mail.recipients.size());
    for (const auto &r : mail.recipients) recipients.push_back(str(r));
    std::vector<mansio_pair> metadata;
    metadata.reserve(mail.metadata.size());
    for (const auto &[name, value] : mail.metadata) metadata.push_back({str(name), str(value)});
    mansio_submission s{};
    s.size = sizeof s;
    s.flags = mail.flags;
    s.sender = str(mail.sender);
    s.recipients = recipients.data();
    s.n_recipients = recipients.size();
    s.content = str(mail.content);
    s.metadata = metadata.data();
    s.n_metadata = metadata.size();
    table_->submit(host_, &s, done, arg);
  }
  // The same with a function of what became of it, which must not throw.
  template <class F>
  void submit(const Submission &mail, F done) const {
    auto job = std::make_unique<F>(std::move(done));
    submit(
        mail,
        [](void *arg, mansio_status status, mansio_str text) {
          const std::unique_ptr<F> mine{static_cast<F *>(arg)};
          (*mine)(Submitted{status, string(text)});
        },
        job.get());
    job.release();
  }

 private:
  const mansio_host *host_;
  const mansio_host_submit *table_;
};

// co_await Submit{submitter, mail, &cancel} -> Submitted. On the loop. Cancelled: CANCELLED, which does not take the
// message back: it may be in the queue, or come into it.
class Submit final : public detail::AnswerWait<Submitted> {
 public:
  Submit(Submitter submitter, Submission mail, Cancel *cancel = nullptr)
      : AnswerWait(cancel, {MANSIO_CANCELLED, {}}), submitter_(submitter), mail_(std::move(mail)) {}

  void await_suspend(std::coroutine_handle<> h) {
    wait(h, [this](void *arg) { submitter_.submit(mail_, &said, arg); });
  }

 private:
  static void said(void *arg, mansio_status status, mansio_str text) {
    answered(arg, [&](Submitted &to) {
      to.status = status;
      try {
        to.text = string(text);
      } catch (const std::exception &) {
        to.text.clear();  // out of memory; the status is what counts
      }
    });
  }

  Submitter submitter_;
  Submission mail_;
};

}  // namespace mansio::plugin
