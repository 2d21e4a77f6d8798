// transport-smtp: delivers to the mail exchangers of a domain, or to a relay host, over SMTP (RFC 5321).
#include "plugins/transport-smtp/client/transport.hpp"

MANSIO_TRANSPORT_PLUGIN(mansio::smtp::SmtpTransport)
