// The access log: uvicorn's line, and how many bytes and how long.
//
// Threads: the I/O thread, without the GIL.
#pragma once

#include <string>

#include "common/http/server.hpp"

namespace asioserve::app {

/// `127.0.0.1:4711 - "GET /a?b=1 HTTP/1.1" 200 OK 17B 0.123ms`. Duration from the request's first byte to the
/// answer's last.
std::string access_line(const http::AccessRecord& record);

}  // namespace asioserve::app
