// Boost.Asio's own sources, compiled here once.
#include "kernel/io/asio.hpp"

#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
