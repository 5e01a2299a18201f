#include "stage3_native_loop/native/os/edge_watch.hpp"

#include <asio/detail/reactor.hpp>
#include <asio/detail/reactor_op.hpp>
#include <asio/system_error.hpp>
#include <utility>

#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

namespace detail = asio::detail;

/// What the reactor refers to; alive until the watch has stopped and the reactor has let its operations go.
struct EdgeWatch::Node {
    struct Op : detail::reactor_op {
        Op(Node& n, Edge e) : reactor_op({}, &Op::happened, &Op::let_go), node(n), edge(e) {}

        static status happened(reactor_op* base) {
            auto* op = static_cast<Op*>(base);
            // Before it looks for the listener: with the GIL another thread may take it away.
            op->node.loop.ensure_gil();
            if (op->node.listener) op->node.listener->edge(op->edge);
            return not_done;
        }
        static void let_go(void*, detail::operation* base, const asio::error_code&, std::size_t) {
            static_cast<Op*>(base)->node.release();
        }

        Node& node;
        Edge edge;
    };

    Node(LoopCore& l, int descriptor)
        : loop(l), reactor(asio::use_service<detail::reactor>(l.io())), fd(descriptor) {
        reactor.init_task();
    }

    void start(int type, Op& op, bool speculative) {
        ++references;
        reactor.start_op(type, fd, data, &op, false, speculative);
    }
    void release() {
        if (--references == 0) delete this;
    }

    LoopCore& loop;
    detail::reactor& reactor;
    const int fd;
    detail::reactor::per_descriptor_data data{};
    Listener* listener = nullptr;
    Op readable{*this, Edge::read};
    Op writable{*this, Edge::write};
    Op failed{*this, Edge::error};
    bool writes = false;
    int references = 1;  // the watch's, and one for each operation that the reactor holds
};

EdgeWatch::EdgeWatch(LoopCore& loop, int fd, Listener& listener) : node_(new Node(loop, fd)) {
    if (int error = node_->reactor.register_descriptor(fd, node_->data)) {
        node_->reactor.cleanup_descriptor_data(node_->data);
        std::exchange(node_, nullptr)->release();
        throw asio::system_error(asio::error_code(error, asio::system_category()));
    }
    // "Speculative", and in this order, as every other way costs an epoll_ctl each. It calls happened() at
    // once, of which nothing comes as long as there is no listener.
    node_->start(detail::reactor::read_op, node_->readable, true);
    node_->start(detail::reactor::except_op, node_->failed, true);
    node_->listener = &listener;
}

EdgeWatch::EdgeWatch(EdgeWatch&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}

EdgeWatch& EdgeWatch::operator=(EdgeWatch&& other) noexcept {
    std::swap(node_, other.node_);
    return *this;
}

void EdgeWatch::want_write() {
    if (std::exchange(node_->writes, true)) return;
    node_->start(detail::reactor::write_op, node_->writable, false);
}

void EdgeWatch::mute() noexcept {
    if (node_) node_->listener = nullptr;
}

void EdgeWatch::stop(bool closed) noexcept {
    Node* node = std::exchange(node_, nullptr);
    if (!node) return;
    node->listener = nullptr;
    if (node->loop.orphaned()) return;
    // A child shares the reactor's epoll with its parent: it must take nothing out of it.
    const bool leave = closed || !node->loop.in_own_process();
    node->reactor.deregister_descriptor(node->fd, node->data, leave);
    node->reactor.cleanup_descriptor_data(node->data);
    node->release();
}

}  // namespace asioloop
