#include "plugins/transport-smtp/client/transport.hpp"

#include <vector>

namespace mansio::smtp {
namespace {

// Without verification: opportunistic TLS takes any certificate (RFC 7435), and so does "encrypt" as it does in
// Postfix. Authentication of servers (DANE, MTA-STS) would be levels of their own.
plugin::SslContext make_ssl() {
  plugin::SslContext ctx{SSL_CTX_new(TLS_client_method())};
  if (!ctx || SSL_CTX_set_min_proto_version(ctx.get(), TLS1_2_VERSION) != 1)
    throw plugin::BadConfig{"OpenSSL: " + plugin::ssl_error_text()};
  SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_NONE, nullptr);
  // Many servers close without close_notify after QUIT; replies have their own end, so that hides nothing.
  SSL_CTX_set_options(ctx.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  return ctx;
}

}  // namespace

Transport::Transport(Host host, const Personality &personality)
    : context_{host, personality, read_options(host, personality), make_ssl()}, cache_(context_) {
  plugin::ignore_sigpipe();
}

Transport::~Transport() {
  std::vector<mansio_op> left;  // none, if the host keeps its promise
  for (const auto &[id, job] : jobs_) left.push_back({id});
  for (const auto op : left) cancel(op);
}

void Transport::start(mansio_op op, plugin::Delivery delivery) {
  auto job = std::make_unique<DeliveryJob>(context_, cache_, op, std::move(delivery));
  jobs_[op.id] = job.get();
  plugin::spawn(serve(op, std::move(job)), [this, op](const char *what) {
    jobs_.erase(op.id);
    context_.host.complete(op, plugin::Reply{MANSIO_INTERNAL, {4, 3, 0}, what});
  });
}

Task<> Transport::serve(mansio_op op, std::unique_ptr<DeliveryJob> job) {
  co_await job->run();
  jobs_.erase(op.id);
}

void Transport::cancel(mansio_op op) {
  if (const auto at = jobs_.find(op.id); at != jobs_.end()) at->second->cancel().request();
}

}  // namespace mansio::smtp
