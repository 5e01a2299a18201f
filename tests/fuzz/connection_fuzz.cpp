// A server that gets any bytes in any pieces over a real socket, with handlers that answer at once, later, in
// pieces or never: it must not crash, hang, leak an exchange, or send bytes that are no answers.
//
// The first bytes of the input choose how the rest is cut and what the handlers do.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "common/http/listen.hpp"
#include "common/http/server.hpp"
#include "tests/fakes/fake_handler.hpp"
#include "tests/fakes/fake_runner.hpp"

namespace {

using namespace asioserve;  // NOLINT(google-build-using-namespace): a test program

/// Reads on, and answers at the end or when it is told that there is none.
struct Reader final : ExchangeListener {
    explicit Reader(Exchange& x) : exchange(x) { x.listener(this); }
    ~Reader() { exchange->listener(nullptr); }
    void on_body(std::string_view, bool last) override {
        if (last)
            exchange->answer({.status = 200, .content_type = {}, .body = "read"});
        else
            exchange->read_body();
    }
    void on_send_credit() override { exchange->write("more"); }
    void on_broken(Broken) override {}
    ExchangePtr exchange;
};

class World {
  public:
    World() {
        handler_.on_route = [this](Exchange& x) {
            if (behaviour_ % 7 == 6) {
                x.answer({.status = 404, .content_type = {}, .body = {}});
                return Routed{Kind::answered, BodyMode::ignore};
            }
            return Routed{Kind::coroutine, static_cast<BodyMode>(x.id() % 3)};
        };
        handler_.on_start = [this](Exchange& x, AnswerSink answer) { act(x, answer); };
        http::ServerOptions options;
        options.limits.head_bytes = 4096;
        options.limits.body_bytes = 5000;
        options.limits.pipelined = 4;
        options.limits.send_buffer_bytes = 64;
        server_ = std::make_unique<http::Server>(io_, options, handler_, runner_);
        const int fd = http::open_tcp("127.0.0.1", 0, 16).at(0);
        port_ = http::port_of(fd);
        server_->listen(fd);
        server_->start();
    }

    void run(std::uint8_t behaviour, std::uint8_t cut, std::string_view bytes) {
        behaviour_ = behaviour;
        const int client = connect();
        const std::size_t step = cut == 0 ? bytes.size() + 1 : cut;
        while (!bytes.empty()) {
            const std::size_t n = std::min(step, bytes.size());
            if (::send(client, bytes.data(), n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
            bytes.remove_prefix(n);
            turn();
            if (cut % 5 == 4) answer_kept();
        }
        if (behaviour & 0x40) ::shutdown(client, SHUT_WR);
        turn();
        answer_kept();
        check(client);
        if (behaviour & 0x80) {
            const linger now{1, 0};
            ::setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        ::close(client);
        for (int i = 0; server_->stats().connections_open != 0; ++i) {
            io_.run_one_for(std::chrono::microseconds(50));
            turn();
            if (i % 4 == 3) answer_kept();
            if (i == 100000) std::abort();  // it does not let go of a peer that has left
        }
        readers_.clear();
        kept_.clear();
        turn();
        if (server_->stats().exchanges_active != 0 || server_->stats().buffers_held != 0) std::abort();
    }

  private:
    void act(Exchange& x, AnswerSink answer) {
        switch ((behaviour_ + x.id()) % 6) {
            case 0:
                return answer({.status = 200, .content_type = "text/plain", .body = x.body()});
            case 1:
                kept_.emplace_back(x);
                return;
            case 2:
                readers_.push_back(std::make_unique<Reader>(x));
                return x.read_body();
            case 3:
                x.begin({});
                x.write("chunk");
                kept_.emplace_back(x);
                return;
            case 4:
                return x.fail();
            default:
                x.begin({.status = 200, .headers = {}, .content_length = 3});
                x.write("four");
                return x.finish();
        }
    }

    void answer_kept() {
        for (const ExchangePtr& x : std::exchange(kept_, {})) {
            x->write("end");
            x->finish();
            x->answer({.status = 200, .content_type = {}, .body = "kept"});
        }
        turn();
    }

    int connect() {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port_);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        // libFuzzer's clock is a signal: a connect that it interrupts goes on by itself.
        while (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 && errno != EISCONN)
            if (errno != EINTR && errno != EALREADY) std::abort();
        while (server_->stats().connections_open == 0) turn();
        return fd;
    }

    /// What comes back starts as an answer.
    static void check(int fd) {
        char buffer[65536];
        const ssize_t n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        const std::string_view got(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
        if (!got.empty() && !got.starts_with("HTTP/1.1 ")) std::abort();
    }

    void turn() {
        io_.poll();
        while (server_->end_turn()) io_.poll();
        if (io_.stopped()) std::abort();
        io_.restart();
    }

    asio::io_context io_{ASIO_CONCURRENCY_HINT_UNSAFE_IO};
    fakes::ScriptHandler handler_;
    fakes::FakeRunner runner_{io_, handler_};
    std::unique_ptr<http::Server> server_;
    std::uint16_t port_ = 0;
    std::uint8_t behaviour_ = 0;
    std::vector<ExchangePtr> kept_;
    std::vector<std::unique_ptr<Reader>> readers_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2 || size > 20000) return 0;
    static auto* const world = new World;  // one server for all inputs, as in life
    world->run(data[0], data[1], {reinterpret_cast<const char*>(data) + 2, size - 2});
    return 0;
}
