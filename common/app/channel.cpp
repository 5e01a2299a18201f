#include "common/app/channel.hpp"

namespace asioserve::app {

namespace {

Channel::Fields copy(std::span<const Header> headers) {
    Channel::Fields fields;
    fields.reserve(headers.size());
    for (const Header& h : headers) fields.emplace_back(h.name, h.value);
    return fields;
}

std::vector<Header> views(const Channel::Fields& fields) {
    std::vector<Header> headers;
    headers.reserve(fields.size());
    for (const auto& [name, value] : fields) headers.push_back({name, value});
    return headers;
}

}  // namespace

void Channel::listen() {
    if (attached_) return;
    attached_ = true;
    x_->listener(this);
    // It left before anybody listened: nobody else will say so.
    if (x_->peer_left() && !broken_.load())
        on_broken(Broken::peer_left);
    else if (x_->peer_ended())
        ended_.store(true);  // With its request already: it waits for the answer, so this cancels nothing.
}

void Channel::attach(bool cancels) {
    run_io([cancels](Channel& c) {
        c.cancels_ = c.cancels_ || cancels;
        c.listen();
    });
}

void Channel::disown() noexcept {
    owner_ = nullptr;
    run_io([](Channel& c) {
        if (c.attached_) c.x_->listener(nullptr);
        c.attached_ = false;
        c.cancels_ = false;
    });
}

void Channel::read_body() {
    run_io([](Channel& c) {
        c.listen();
        if (!c.broken_.load()) c.x_->read_body();
    });
}

void Channel::begin(int status, std::span<const Header> headers, std::int64_t content_length) {
    const auto start = [](Channel& c, const AnswerHead& head) {
        c.listen();
        c.x_->begin(head);
        c.credit_.store(c.x_->send_credit());
    };
    if (shared_->on_io_thread()) return start(*this, AnswerHead{status, headers, content_length});
    run_io([start, status, fields = copy(headers), content_length](Channel& c) {
        const std::vector<Header> list = views(fields);
        start(c, AnswerHead{status, list, content_length});
    });
}

void Channel::write(std::string_view chunk) {
    if (shared_->on_io_thread()) {
        x_->write(chunk);
        credit_.store(x_->send_credit());
        return;
    }
    queued_.fetch_add(static_cast<std::int64_t>(chunk.size()));
    run_io([text = std::string(chunk)](Channel& c) {
        c.x_->write(text);
        c.credit_.store(c.x_->send_credit());
        c.queued_.fetch_sub(static_cast<std::int64_t>(text.size()));
    });
}

void Channel::finish(std::span<const Header> trailers) {
    if (shared_->on_io_thread()) return x_->finish(trailers);
    run_io([fields = copy(trailers)](Channel& c) {
        const std::vector<Header> list = views(fields);
        c.x_->finish(list);
    });
}

void Channel::fail() {
    run_io([](Channel& c) { c.x_->fail(); });
}

void Channel::wait_for_credit() {
    run_io([](Channel& c) {
        c.listen();
        const std::int64_t credit = c.x_->send_credit();
        c.credit_.store(credit);
        // The jobs are in order: all that was written before has been counted.
        if (credit > 0)
            c.tell([](Owner& owner) {
                py::gil.assert_held();
                owner.credit_came();
            });
        else
            c.waiting_ = true;
    });
}

void Channel::on_body(std::string_view chunk, bool last) {
    tell([text = std::string(chunk), last](Owner& owner) {
        py::gil.assert_held();
        owner.body_came(text, last);
    });
}

void Channel::on_send_credit() {
    credit_.store(x_->send_credit());
    if (!std::exchange(waiting_, false)) return;
    tell([](Owner& owner) {
        py::gil.assert_held();
        owner.credit_came();
    });
}

void Channel::on_broken(Broken why) {
    broken_.store(true);
    waiting_ = false;
    tell([why](Owner& owner) {
        py::gil.assert_held();
        owner.broke(why);
    });
    if (why == Broken::peer_left) cancel();
}

void Channel::on_peer_ended() {
    ended_.store(true);
    cancel();
}

void Channel::cancel() {
    if (!std::exchange(cancels_, false)) return;
    if (Runner* runner = shared_->runner.load(std::memory_order_acquire)) runner->cancel(*x_);
}

}  // namespace asioserve::app
