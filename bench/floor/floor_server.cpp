// The floor: what Asio, the kernel and llhttp cost for one request when nothing else is done.
//
// The same way of reading and sending as common/http: a read is armed a turn after the answer when many are
// busy, and the answers of a turn are sent at its end. The parser runs with empty callbacks; --no-parser
// counts the ends of heads instead. The answer has the bytes of a hello from the stages, with a date that
// stands still.
#include <asio/basic_stream_socket.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <llhttp.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/handler_memory.hpp"

namespace {

using asioserve::http::HandlerAllocator;
using asioserve::http::HandlerMemory;
using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type>;

constexpr std::string_view answer_bytes =
    "HTTP/1.1 200 OK\r\n"
    "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    "server: asioserve\r\n"
    "content-type: application/json\r\n"
    "content-length: 17\r\n"
    "\r\n"
    R"({"hello":"world"})";

class Client;

/// What all connections share.
struct Turn {
    std::vector<Client*> answered;  ///< in this turn
    std::vector<Client*> sending;   ///< the same at its end
    std::vector<Client*> rested;    ///< in the turn before
    bool parse = true;
    char in[8192];
};

class Client {
  public:
    Client(Turn& turn, Socket socket) : turn_(turn), socket_(std::move(socket)) {
        llhttp_init(&parser_, HTTP_REQUEST, settings());
        parser_.data = this;
        asio::error_code ignored;
        socket_.non_blocking(true, ignored);
        socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    }

    void wait() { socket_.async_wait(Socket::wait_read, Handler{this}); }

    /// Takes what is there, and waits for more if there is nothing.
    void read() {
        asio::error_code ec;
        const std::size_t n = socket_.read_some(asio::buffer(turn_.in), ec);
        if (ec == asio::error::would_block) return wait();
        if (ec || !take(n)) {
            delete this;
            return;
        }
        turn_.answered.push_back(this);
    }

    /// False: the peer has left.
    bool send() {
        asio::error_code ec;
        while (!out_.empty() && !ec) out_.erase(0, socket_.write_some(asio::buffer(out_), ec));
        return !ec;
    }

  private:
    struct Handler {
        using allocator_type = HandlerAllocator<void, 160>;
        allocator_type get_allocator() const noexcept { return allocator_type(client->memory_); }
        void operator()(const asio::error_code& ec) const {
            if (!ec) client->read();
        }
        Client* client;
    };

    static int on_complete(llhttp_t* p) {
        static_cast<Client*>(p->data)->out_ += answer_bytes;
        return 0;
    }
    static int nothing(llhttp_t*) { return 0; }
    static int nothing_with(llhttp_t*, const char*, std::size_t) { return 0; }
    static const llhttp_settings_t* settings() {
        static const llhttp_settings_t table = [] {
            llhttp_settings_t s;
            llhttp_settings_init(&s);
            s.on_url = s.on_header_field = s.on_header_value = s.on_body = nothing_with;
            s.on_headers_complete = nothing;
            s.on_message_complete = on_complete;
            return s;
        }();
        return &table;
    }

    bool take(std::size_t n) {
        if (turn_.parse) return llhttp_execute(&parser_, turn_.in, n) == HPE_OK;
        // Heads that are split over two reads are not what this row is for.
        const std::string_view bytes(turn_.in, n);
        for (std::size_t at = 0; (at = bytes.find("\r\n\r\n", at)) != bytes.npos; at += 4)
            out_ += answer_bytes;
        return true;
    }

    Turn& turn_;
    Socket socket_;
    llhttp_t parser_;
    std::string out_;
    HandlerMemory<160> memory_;
};

bool end_turn(Turn& turn) {
    std::vector<Client*>& answered = turn.sending;
    answered.swap(turn.answered);
    std::erase_if(answered, [](Client* c) {
        if (c->send()) return false;
        delete c;
        return true;
    });
    if (turn.rested.empty() && answered.size() <= 2) {
        for (Client* c : answered) c->wait();
    } else {
        answered.swap(turn.rested);
        for (Client* c : answered) c->read();
    }
    answered.clear();
    return !turn.answered.empty() || !turn.rested.empty();
}

void accept(Turn& turn, Acceptor& acceptor) {
    acceptor.async_accept([&](const asio::error_code& ec, Socket socket) {
        if (!ec) (new Client(turn, std::move(socket)))->read();
        accept(turn, acceptor);
    });
}

}  // namespace

int main(int argc, char** argv) {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8000;
    bool no_parser = false;
    CLI::App options("Answers every request with the same bytes");
    options.add_option("--host", host, "address to listen on")->capture_default_str();
    options.add_option("--port", port, "port, 0 for a free one")->capture_default_str();
    options.add_flag("--no-parser", no_parser, "look for ends of heads instead of parsing");
    CLI11_PARSE(options, argc, argv);

    asio::io_context io(ASIO_CONCURRENCY_HINT_UNSAFE_IO);
    Turn turn;
    turn.parse = !no_parser;
    Acceptor acceptor(io, {asio::ip::make_address(host), port});
    std::fprintf(stderr, "listening on http://%s:%d\n", host.c_str(), acceptor.local_endpoint().port());
    accept(turn, acceptor);
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](const asio::error_code&, int) { io.stop(); });

    bool busy = true;
    unsigned turns = 0;
    while (!io.stopped()) {
        std::size_t handled = io.run_one();
        if (busy || ++turns % 16 == 0) {
            handled += io.poll();
            busy = handled > 2;
        }
        while (end_turn(turn)) busy = io.poll() > 2 || busy;
    }
    std::_Exit(0);  // the clients that are left need no ceremony
}
