#include "tests/fakes/fake_runner.hpp"

#include <asio/post.hpp>
#include <memory>

namespace asioserve::fakes {

void FakeRunner::start(ExchangePtr x, Kind) {
    requests_.add();
    Exchange& exchange = *x;
    handler_.start(exchange, [&exchange](const AnswerView& answer) { exchange.answer(answer); });
}

void FakeRunner::cancel(Exchange& x) {
    if (on_cancel) on_cancel(x.id());
}

void FakeRunner::to_python(Job job) {
    to_io(std::move(job));
}

void FakeRunner::to_io(Job job) {
    asio::post(io_, [job = std::make_shared<Job>(std::move(job))] { (*job)(); });
}

Counters FakeRunner::counters() const {
    Counters c;
    c.requests = requests_.get();
    return c;
}

}  // namespace asioserve::fakes
