// Asio, compiled once for all that link it.
#include <asio/impl/src.hpp>
