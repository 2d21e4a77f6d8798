#include "kernel/cli/load/sink_state.hpp"

#include <syslog.h>

#include "kernel/mail/headers.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::cli::load {

Task<bool> obey(Sink &sink, Connection &connection, const Verdict &verdict, std::string_view command,
                std::string_view argument) {
  if (verdict.log)
    ::syslog(LOG_MAIL | LOG_INFO, "%s", fmt::format("{} {}", command, printable(argument, true)).c_str());
  if (verdict.delay.count() > 0) {
    asio::steady_timer timer{sink.loop, verdict.delay};
    ErrorCode ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (verdict.drop) {
    ++sink.totals.dropped_connections;
    connection.close();
  }
  co_return !verdict.drop;
}

void Sink::take(const TakenMessage &message, std::uint64_t size, std::size_t recipients) {
  count(&SinkTotals::messages);
  totals.recipients += recipients;
  totals.bytes += size;
  if (log) {
    const auto id = find_header(header_section(message.content), "Message-ID").value_or("");
    auto line = fmt::format("from=<{}> message-id={} size={} tls={}", message.sender, id, size, message.tls ? 1 : 0);
    for (const auto &recipient : message.recipients) line += fmt::format(" to=<{}>", recipient.address);
    line += '\n';
    std::fputs(line.c_str(), log);
    std::fflush(log);
  }
  if (options.dumps.any()) {
    if (const auto done = dump(options.dumps, message, totals.messages); !done)
      fmt::print(stderr, "mansio sink: {}\n", done.error().text);
  }
}

}  // namespace mansio::cli::load
