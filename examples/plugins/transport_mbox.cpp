// transport-mbox: appends messages to one file in mbox format. It says "sent" when they are on stable storage, and
// leaves nothing behind when it fails.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <mansio/plugin.hpp>

namespace {

using namespace mansio::plugin;

class Mbox {
 public:
  // It writes files, and so must be allowed to. fsync() and locks block: the host calls it on a thread of its own.
  static constexpr Info info{"transport-mbox", "1.0", MANSIO_NEEDS_WRITE, MANSIO_BLOCKING, 1};
  static constexpr mansio_option options[] = {
      {"path", MANSIO_OPT_PATH, MANSIO_OPT_REQUIRED, nullptr, "File that messages are appended to."},
      {},
  };

  explicit Mbox(Host host) : host_(host), path_(host.option("path")) {}

  void start(Token token, Delivery mail) {
    const int fd = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return token.complete(failed("open"));
    // One answer for all recipients: complete() speaks for those that token.rcpt(index, reply) did not name.
    token.complete(append(fd, token.op(), mail).relay("local"));
    ::close(fd);
  }

 private:
  Reply append(int fd, mansio_op op, const Delivery &mail) {
    if (::flock(fd, LOCK_EX) != 0) return failed("lock");
    const auto before = ::lseek(fd, 0, SEEK_END);
    auto reply = write(fd, op, mail) && ::fsync(fd) == 0 ? sent("appended") : failed("write");
    if (reply.status() != MANSIO_OK && ::ftruncate(fd, before) != 0)
      reply = uncertain({4, 3, 0}, "a part may be there");
    return reply;
  }

  bool write(int fd, mansio_op op, const Delivery &mail) {
    const auto now = std::time(nullptr);
    char date[32];
    std::string text = "From " + (mail.sender.empty() ? "MAILER-DAEMON" : mail.sender) + ' ' + ::ctime_r(&now, date);
    std::string line;
    char buffer[16384];
    for (std::uint64_t offset = 0; offset < mail.length;) {
      const auto n = host_.read(op, offset, buffer, sizeof buffer);  // canonical form: every line ends in CRLF
      if (n <= 0) return errno = EIO, false;
      offset += static_cast<std::uint64_t>(n);
      for (const char *c = buffer; c != buffer + n; ++c) {
        if (*c != '\r') line += *c;
        if (*c != '\n') continue;
        if (line.starts_with("From ")) text += '>';
        text += std::exchange(line, {});
      }
      if (text.size() > 1 << 20 && !put(fd, text)) return false;
    }
    text += line + '\n';
    return put(fd, text);
  }

  static bool put(int fd, std::string &text) {
    for (std::string_view rest = text; !rest.empty();) {
      const auto n = ::write(fd, rest.data(), rest.size());
      if (n < 0 && errno != EINTR) return false;
      rest.remove_prefix(n > 0 ? static_cast<std::size_t>(n) : 0);
    }
    text.clear();
    return true;
  }

  // Nothing that an operator can mend bounces. The path is for the log, not for whoever would get the bounce.
  Reply failed(const char *what) {
    const std::string why = std::strerror(errno);
    host_.warn(std::string{what} + ' ' + path_ + ": " + why);
    return defer({4, 3, 0}, "the mailbox cannot be written: " + why);
  }

  Host host_;
  std::string path_;
};

}  // namespace

MANSIO_TRANSPORT_PLUGIN(Mbox)
