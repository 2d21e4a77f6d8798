// The one door to Boost.Asio: coroutine types and names, compiled once in asio.cpp
// (BOOST_ASIO_SEPARATE_COMPILATION), so that including it stays affordable.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mansio {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

template <class T = void>
using Task = asio::awaitable<T>;

}  // namespace mansio
