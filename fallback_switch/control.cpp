#include "fallback_switch/control.hpp"

#include <fcntl.h>

#include <asio/buffer.hpp>
#include <asio/read_until.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "common/http/listen.hpp"

namespace asioserve::fallback {
namespace {

// A command is short; who sends more is no client of ours.
constexpr std::size_t longest_line = 256;
constexpr std::chrono::seconds patience{10};

}  // namespace

/// One connection: reads a line, answers it, ends.
class Control::Session : public std::enable_shared_from_this<Session> {
  public:
    Session(Control& control, asio::local::stream_protocol::socket socket)
        : control_(&control), socket_(std::move(socket)), timer_(control.io_) {}

    void start() {
        ::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC);
        timer_.expires_after(patience);
        timer_.async_wait([self = shared_from_this()](const asio::error_code& error) {
            if (!error) self->end();
        });
        asio::async_read_until(socket_, asio::dynamic_buffer(line_, longest_line), '\n',
                               [self = shared_from_this()](const asio::error_code& error, std::size_t size) {
                                   self->timer_.cancel();
                                   if (error) return self->end();
                                   self->handle(size);
                               });
    }

    void end() {
        asio::error_code ignored;
        socket_.close(ignored);
        timer_.cancel();
        if (control_ != nullptr) std::exchange(control_, nullptr)->sessions_.erase(shared_from_this());
    }

  private:
    void handle(std::size_t size) {
        if (control_ == nullptr) return;
        control_->handler_(line_.substr(0, size - 1), [self = shared_from_this()](std::string answer) {
            self->answer_ = std::move(answer) + "\n";
            asio::async_write(self->socket_, asio::buffer(self->answer_),
                              [self](const asio::error_code&, std::size_t) { self->end(); });
        });
    }

    Control* control_;
    asio::local::stream_protocol::socket socket_;
    asio::steady_timer timer_;
    std::string line_;
    std::string answer_;
};

Control::Control(asio::io_context& io, Handler handler)
    : io_(io), acceptor_(io), pause_(io), handler_(std::move(handler)) {}

Control::~Control() {
    close();
}

void Control::open(const std::string& path) {
    // Whoever may connect may end requests: nobody but the owner.
    const int fd = http::open_unix(path, 16, 0600);
    acceptor_.assign(asio::local::stream_protocol(), fd);
    path_ = path;
    accept();
}

void Control::close() {
    asio::error_code ignored;
    acceptor_.close(ignored);
    for (const auto& session : std::set(sessions_)) session->end();
    pause_.cancel();
    if (!path_.empty()) http::remove_unix(path_);
    path_.clear();
}

void Control::accept() {
    acceptor_.async_accept(
        [this](const asio::error_code& error, asio::local::stream_protocol::socket socket) {
            if (!acceptor_.is_open()) return;
            if (!error) {
                const auto session = std::make_shared<Session>(*this, std::move(socket));
                sessions_.insert(session);
                session->start();
            }
            if (!error) return accept();
            // Out of descriptors, say: asking again at once would spin.
            pause_.expires_after(std::chrono::milliseconds(100));
            pause_.async_wait([this](const asio::error_code& cancelled) {
                if (!cancelled) accept();
            });
        });
}

}  // namespace asioserve::fallback
