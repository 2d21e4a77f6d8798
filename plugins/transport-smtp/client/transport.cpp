#include "plugins/transport-smtp/client/transport.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace mansio::smtp {
namespace {

// OpenSSL takes any name and finds nothing there later.
bool not_a_directory(const std::string &path) {
  struct stat s {};
  return ::stat(path.c_str(), &s) == 0 ? !S_ISDIR(s.st_mode) : errno != EACCES;
}

// The handshake takes any certificate: opportunistic TLS must (RFC 7435), and "encrypt" does as in Postfix. OpenSSL
// checks the chain all the same, and the levels above ask for the result before anything is said to the server.
plugin::SslContext make_ssl(const Options &options) {
  plugin::SslContext ctx{SSL_CTX_new(TLS_client_method())};
  if (!ctx || SSL_CTX_set_min_proto_version(ctx.get(), TLS1_2_VERSION) != 1)
    throw plugin::BadConfig{"OpenSSL: " + plugin::ssl_error_text()};
  SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_NONE, nullptr);
  // Nobody waits for a CA file that is not used; one that is named and cannot be read is a mistake.
  const bool named = !options.tls_ca_file.empty() || !options.tls_ca_path.empty();
  if (!options.tls_ca_file.empty() && SSL_CTX_load_verify_file(ctx.get(), options.tls_ca_file.c_str()) != 1)
    throw plugin::BadConfig{
        "tls_CAfile",
        "names " + options.tls_ca_file + ", expected a file of CA certificates in PEM: " + plugin::ssl_error_text()};
  if (!options.tls_ca_path.empty() &&
      (not_a_directory(options.tls_ca_path) || SSL_CTX_load_verify_dir(ctx.get(), options.tls_ca_path.c_str()) != 1))
    throw plugin::BadConfig{"tls_CApath", "names " + options.tls_ca_path + ", expected a directory of CA certificates"};
  if (!named) SSL_CTX_set_default_verify_paths(ctx.get());
  ERR_clear_error();
  // Many servers close without close_notify after QUIT; replies have their own end, so that hides nothing.
  SSL_CTX_set_options(ctx.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  return ctx;
}

}  // namespace

Transport::Transport(Host host, const Personality &personality)
    : context_{host, personality, read_options(host, personality), nullptr, nullptr}, shared_(context_) {
  context_.ssl = make_ssl(context_.options);
  if (context_.options.sasl_auth_enable) context_.sasl = make_sasl();
  plugin::ignore_sigpipe();
}

void check_options(const plugin::Config &config, const Personality &personality) {
  auto options = read_options(config, personality);
  // It may be open to the user that egress runs as and closed to the one that checks.
  if (!options.tls_ca_file.empty() && ::access(options.tls_ca_file.c_str(), R_OK) != 0 && errno == EACCES)
    options.tls_ca_file.clear();
  make_ssl(options);
}

Transport::~Transport() {
  std::vector<mansio_op> left;  // none, if the host keeps its promise
  left.reserve(jobs_.size());
  for (const auto &[id, job] : jobs_) left.push_back({id});
  for (const auto op : left) cancel(op);
}

void Transport::start(plugin::Token token, plugin::Delivery delivery) {
  const auto op = token.op();
  auto job = std::make_unique<DeliveryJob>(context_, shared_, std::move(token), std::move(delivery));
  jobs_[op.id] = job.get();
  // A job that throws is gone by then, and its token with it: the operation ended there.
  plugin::spawn(serve(op, std::move(job)), [this, op](const char *what) {
    jobs_.erase(op.id);
    context_.host.error(what, op);
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
