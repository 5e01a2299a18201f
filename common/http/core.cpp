#include "common/http/core.hpp"

#include <asio/post.hpp>
#include <sys/socket.h>

#include <ctime>

namespace asioserve::http {
namespace {

// Up to this many answers a turn, their next requests are waited for at once: a turn more would cost as many
// system calls as it saves.
constexpr std::size_t few = 2;

Millis steady_millis() noexcept {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace

Server::Core::Core(asio::io_context& io, ServerOptions options, Handler& handler, Runner& runner,
                   AccessLog log)
    : io_(io),
      options_(std::move(options)),
      handler_(handler),
      runner_(runner),
      log_(std::move(log)),
      memory_(Memory::make()),
      text_(options_.date_header, options_.server_header, options_.headers),
      deadlines_(steady_millis()),
      timer_(io),
      drain_timer_(io) {}

Server::Core::~Core() {
    *alive_ = false;
    acceptors_.clear();
    while (Connection* c = connections_.first()) {
        const ConnectionPtr keep(c);
        c->close(Broken::draining);
    }
    for (auto* list : {&touched_, &turning_, &fresh_, &rested_}) list->clear();
    ends_.clear();
    memory_->abandon();
}

void Server::Core::listen(int fd) {
    acceptors_.push_back(std::make_unique<Acceptor>(*this, io_, fd));
}

void Server::Core::start() {
    memory_->claim_thread();
    if (draining_) return;
    for (const auto& a : acceptors_) a->start();
}

void Server::Core::adopt(int fd, int family, Ends* ends) {
    Connection::Socket socket(io_);
    asio::error_code ec;
    socket.assign(asio::generic::stream_protocol(family, family == AF_UNIX ? 0 : IPPROTO_TCP), fd, ec);
    if (!ec) socket.native_non_blocking(true, ec);
    if (!ec) socket.non_blocking(true, ec);
    if (ec) {  // epoll is out of room
        if (!socket.is_open()) ::close(fd);
        if (ends->references == 0) delete ends;
        ++stats_.accept_failures;
        return;
    }
    auto* c = new Connection(*this, std::move(socket), ends);
    c->node.owner = c;
    connections_.add(*c);
    ++stats_.connections_accepted;
    ++stats_.connections_open;
    touch(*c);
}

void Server::Core::gone(Connection& c) {
    const bool was_full = full();
    --stats_.connections_open;
    connections_.remove(c);
    if (draining_) return check_drained();
    if (was_full)
        for (const auto& a : acceptors_) a->start();
}

void Server::Core::started(HttpExchange&) noexcept {
    ++stats_.exchanges_started;
    ++stats_.exchanges_active;
}

void Server::Core::answered(HttpExchange& x, int status, std::uint64_t bytes,
                            std::chrono::steady_clock::time_point since) {
    --stats_.exchanges_active;
    ++stats_.answers_by_class[status >= 100 && status < 600 ? static_cast<std::size_t>(status / 100) : 0];
    if (!options_.access_log || !log_ || x.head().method.empty()) return;
    log_({x.endpoints(), &x.head(), status, bytes, std::chrono::steady_clock::now() - since});
}

void Server::Core::deliver_end(HttpExchange& x) {
    ends_.push_back(ExchangePtr(x));
}

Millis Server::Core::read_clock() noexcept {
    return now_ = steady_millis();
}

void Server::Core::update_text() noexcept {
    timespec t;
    ::clock_gettime(CLOCK_REALTIME_COARSE, &t);
    text_.update(t.tv_sec);
    text_updated_ = true;
}

bool Server::Core::end_turn() {
    memory_->claim_thread();
    memory_->reap();
    if (!ends_.empty()) {
        for (const ExchangePtr& x : std::exchange(ends_, {})) static_cast<HttpExchange&>(*x).deliver_end();
    }
    turning_.swap(touched_);
    for (ConnectionPtr& c : turning_) {
        c->listed = false;
        switch (c->turn()) {
            case Connection::Read::no:
                break;
            case Connection::Read::now:
                c->read();
                break;
            case Connection::Read::next_turn:
                fresh_.push_back(std::move(c));
                break;
        }
    }
    turning_.clear();
    read_rested();
    arm_timer();
    now_ = never;
    text_updated_ = false;
    return !touched_.empty() || !rested_.empty() || !ends_.empty();
}

/// The peers that were answered a turn ago have most likely sent their next request: a read finds it, where
/// one right behind the answer would cost a system call to find nothing.
void Server::Core::read_rested() {
    if (rested_.empty() && fresh_.size() <= few) {
        for (const ConnectionPtr& c : fresh_) c->wait_readable();
        fresh_.clear();
        return;
    }
    turning_.swap(rested_);
    rested_.swap(fresh_);
    for (const ConnectionPtr& c : turning_)
        if (c->wants_rested_read()) c->read();
    turning_.clear();
}

void Server::Core::arm_timer() {
    const Millis due = deadlines_.next_due();
    if (due >= timer_due_) return;
    timer_due_ = due;
    timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::milliseconds(due)));
    timer_.async_wait([this, alive = alive_](const asio::error_code& ec) {
        if (!ec && *alive) on_timer();
    });
}

void Server::Core::on_timer() {
    timer_due_ = never;
    now_ = never;
    const Millis at = now();
    deadlines_.advance(at, [at](Deadlines::Node& node) {
        const ConnectionPtr c(static_cast<Connection*>(node.owner));
        c->on_deadline(at);
    });
}

void Server::Core::drain(std::chrono::milliseconds timeout, Job done) {
    if (done) drained_.push_back(std::move(done));
    if (!draining_) {
        draining_ = true;
        for (const auto& a : acceptors_) a->stop();
        const Millis grace = std::min<Millis>(drain_grace, timeout.count());
        for (Connection* c = connections_.first(); c; c = c->next) c->drain(grace);
    }
    const auto until = std::chrono::steady_clock::now() + timeout;
    if (drain_until_ > until) {
        drain_until_ = until;
        drain_timer_.expires_at(until);
        drain_timer_.async_wait([this, alive = alive_](const asio::error_code& ec) {
            if (!ec && *alive) on_drain_deadline();
        });
    }
    check_drained();
}

void Server::Core::on_drain_deadline() {
    while (Connection* c = connections_.first()) {
        const ConnectionPtr keep(c);
        c->close(Broken::draining);
    }
    check_drained();
}

void Server::Core::check_drained() {
    if (!draining_ || stats_.connections_open != 0 || drained_.empty()) return;
    drain_timer_.cancel();
    // Not right here: this may be inside of a connection that is closing.
    for (Job& job : drained_) asio::post(io_, [job = std::make_shared<Job>(std::move(job))] { (*job)(); });
    drained_.clear();
}

}  // namespace asioserve::http
