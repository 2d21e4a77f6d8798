// transport-lmtp: delivers to a mail store over LMTP (RFC 2033), by TCP or a UNIX socket.
#include "plugins/transport-smtp/client/transport.hpp"

MANSIO_TRANSPORT_PLUGIN(mansio::smtp::LmtpTransport)
