#include "kernel/cli/load/sink_qmqp.hpp"

#include <algorithm>

namespace mansio::cli::load {
namespace {

// "450 4.3.0 full" -> "Z4.3.0 full".
std::string qmqp_text(std::string_view reply) {
  const char letter = reply.front() < '4' ? 'K' : reply.front() == '4' ? 'Z' : 'D';
  return letter + std::string{reply.substr(std::min<std::size_t>(4, reply.size()))};
}

}  // namespace

QmqpSinkSession::QmqpSinkSession(Sink &sink, Protocol::socket socket)
    : sink_(sink), connection_(std::move(socket), sink.watchdog) {
  message_.client_address = connection_.peer();
  message_.protocol = "QMQP";
  if (sink.options.trace) connection_.trace();
}

Task<> QmqpSinkSession::run() {
  ++sink_.totals.connections;
  const bool asked = co_await receive();
  if (asked) co_await answer();
  connection_.close();
  sink_.count(&SinkTotals::ended);
}

Task<bool> QmqpSinkSession::receive() {
  const auto verdict = sink_.faults.judge("CONNECT", "");
  if (!co_await obey(sink_, connection_, verdict, "CONNECT", "")) co_return false;
  if (verdict.reply) {
    std::string out;
    append_netstring(out, qmqp_text(*verdict.reply));
    co_await connection_.write(out);
    co_return false;
  }
  for (;;) {
    auto bytes = co_await connection_.read_some();
    if (!bytes) co_return false;
    for (;;) {
      const auto event = reader_.next(*bytes);
      if (event.part == QmqpReader::Part::More) break;
      if (event.part == QmqpReader::Part::End) co_return true;
      if (!take_part(event)) {
        ++sink_.totals.protocol_errors;
        std::string out;
        append_netstring(out, "Dmalformed request");
        co_await connection_.write(out);
        co_return false;
      }
    }
  }
}

bool QmqpSinkSession::take_part(const QmqpReader::Event &event) {
  switch (event.part) {
    case QmqpReader::Part::Content:
      size_ += event.bytes.size();
      if (sink_.keeps_content() && message_.content.size() < (std::size_t{1} << 30))
        message_.content.append(event.bytes);
      return true;
    case QmqpReader::Part::Sender:
      message_.sender = event.bytes;
      return true;
    case QmqpReader::Part::Recipient:
      message_.recipients.emplace_back().address = event.bytes;
      return true;
    default:
      return event.part == QmqpReader::Part::Size;
  }
}

Task<> QmqpSinkSession::answer() {
  const auto verdict = sink_.faults.judge("DATA_END", message_.sender, ".");
  const bool goes_on = co_await obey(sink_, connection_, verdict, ".", message_.sender);
  if (!goes_on) co_return;
  std::string reply = verdict.reply ? qmqp_text(*verdict.reply) : "Kok";
  if (sink_.options.size_limit != 0 && size_ > sink_.options.size_limit) reply = "D5.3.4 Message too big";
  if (reply.front() == 'K')
    sink_.take(message_, size_, message_.recipients.size());
  else
    ++sink_.totals.refused_messages;
  std::string out;
  append_netstring(out, reply);
  co_await connection_.write(out);
  if (reply.front() == 'K') sink_.message_taken();
}

}  // namespace mansio::cli::load
