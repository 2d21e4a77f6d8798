#include "plugins/lua/io/redis_server.hpp"

#include <hiredis/hiredis.h>

#include <new>
#include <string_view>

namespace mansio::lua {
namespace {

constexpr std::size_t kMostIdle = 8;
constexpr std::int64_t kLongestIdle = 60'000'000'000;
constexpr std::size_t kLongestList = 1 << 18;  // of a MiB, as an element takes four octets or more

std::string encoded(const std::vector<std::string> &words) {
  std::vector<const char *> texts;
  std::vector<std::size_t> lengths;
  for (const auto &word : words) {
    texts.push_back(word.data());
    lengths.push_back(word.size());
  }
  char *out = nullptr;
  const auto n = ::redisFormatCommandArgv(&out, static_cast<int>(words.size()), texts.data(), lengths.data());
  if (n < 0) throw std::bad_alloc{};
  struct Free {
    void operator()(char *text) const { ::redisFreeCommand(text); }
  };
  const std::unique_ptr<char, Free> owner{out};
  return {out, static_cast<std::size_t>(n)};
}

// hiredis takes the memory for a list when it sees its length; a reply that is within its limit has no longer ones.
class Reader {
 public:
  Reader() : reader_(::redisReaderCreate()) {
    if (!reader_) throw std::bad_alloc{};
    plain_ = bounded_ = *reader_->fn;
    bounded_.createArray = [](const redisReadTask *task, auto n) -> void * {
      const auto &plain = *static_cast<const redisReplyObjectFunctions *>(task->privdata);
      return static_cast<std::size_t>(n) > kLongestList ? nullptr : plain.createArray(task, n);
    };
    reader_->fn = &bounded_;
    reader_->privdata = &plain_;
  }
  Reader(const Reader &) = delete;
  Reader &operator=(const Reader &) = delete;

  // False: it is no reply. `reply` stays null until all of it is here.
  bool feed(std::string_view piece, void *&reply) {
    return ::redisReaderFeed(reader_.get(), piece.data(), piece.size()) == REDIS_OK &&
           ::redisReaderGetReply(reader_.get(), &reply) == REDIS_OK;
  }
  const char *why() const { return reader_->errstr; }
  bool has_more() const { return reader_->pos < reader_->len; }

 private:
  struct Free {
    void operator()(redisReader *reader) const { ::redisReaderFree(reader); }
  };
  redisReplyObjectFunctions plain_{}, bounded_{};  // they outlive the reader
  std::unique_ptr<redisReader, Free> reader_;
};

// One command on one connection.
plugin::Task<RedisResult> talk(Channel &channel, std::string command, std::size_t limit, std::int64_t deadline,
                               plugin::Cancel &cancel) {
  RedisResult result;
  result.why = co_await channel.write(command, deadline - channel.host().now(), cancel);
  if (!result.why.empty()) co_return result;
  Reader reader;
  void *reply = nullptr;
  for (std::size_t fed = 0; !reply;) {
    result.why = co_await channel.fill(deadline, cancel);
    if (result.why.empty() && channel.ended()) result.why = "connection closed";
    if (!result.why.empty()) co_return result;
    const auto piece = channel.unread();
    fed += piece.size();
    if (!reader.feed(piece, reply))
      result.why = std::string{"not understood: "} + reader.why();
    else if (fed > limit && !reply)
      result.why = "the reply is larger than " + std::to_string(limit) + " octets";
    channel.consume(piece.size());
    if (!result.why.empty()) co_return result;
  }
  if (reader.has_more()) channel.close();  // more than was asked for
  result.reply.reset(static_cast<redisReply *>(reply), [](redisReply *r) { ::freeReplyObject(r); });
  if (result.reply->type == REDIS_REPLY_ERROR)
    result.why = result.reply->len == 0 ? "an error" : std::string{result.reply->str, result.reply->len};
  co_return result;
}

}  // namespace

std::unique_ptr<Channel> RedisServer::take() {
  const auto now = host_.now();
  while (!idle_.empty()) {
    auto last = std::move(idle_.back());
    idle_.pop_back();
    if (now - last.since < kLongestIdle && !last.channel->stale()) return std::move(last.channel);
  }
  return nullptr;
}

plugin::Task<std::string> RedisServer::greet(Channel &channel, std::int64_t deadline, plugin::Cancel &cancel) {
  constexpr std::size_t kLimit = 64 << 10;
  auto why = co_await channel.open(deadline, cancel);
  if (!why.empty()) co_return why;
  std::vector<std::vector<std::string>> commands;
  if (!settings_.user.empty())
    commands.push_back({"AUTH", settings_.user, settings_.password});
  else if (!settings_.password.empty())
    commands.push_back({"AUTH", settings_.password});
  if (settings_.database != 0) commands.push_back({"SELECT", std::to_string(settings_.database)});
  for (const auto &words : commands) {
    const auto result = co_await talk(channel, encoded(words), kLimit, deadline, cancel);
    if (!result.why.empty()) co_return result.why;
  }
  co_return std::string{};
}

plugin::Task<RedisResult> RedisServer::command(std::vector<std::string> words, std::size_t limit,
                                               plugin::Cancel &cancel) {
  const auto self = shared_from_this();
  const auto deadline = host_.now() + settings_.timeout;
  auto channel = take();
  if (!channel) {
    channel = std::make_unique<Channel>(host_, settings_.target);
    RedisResult failed;
    failed.why = co_await greet(*channel, deadline, cancel);
    if (!failed.why.empty()) co_return failed;
  }
  auto result = co_await talk(*channel, encoded(words), limit, deadline, cancel);
  result.sent = true;
  // With a whole reply, be it an error, and nothing after it.
  if (result.reply && !channel->stale() && idle_.size() < kMostIdle) idle_.push_back({std::move(channel), host_.now()});
  co_return result;
}

}  // namespace mansio::lua
