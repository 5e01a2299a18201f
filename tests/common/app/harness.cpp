#include "tests/common/app/harness.hpp"

#include <thread>

#include "common/python/errors.hpp"

namespace asioserve::app::test {

void TestRunner::run(Job job) {
    if (queued_)
        jobs_.push_back(std::move(job));
    else
        job();
}

int TestRunner::run_jobs() {
    int count = 0;
    for (; !jobs_.empty(); ++count) {
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        job();
    }
    return count;
}

Harness::Harness(PyObject* app, bool two_threads, bool sync_pool)
    : handler({.sync_pool = sync_pool,
               .on_error = [this](const RunError& e, const RequestHead&) { errors.push_back(e); }}),
      runner(two_threads),
      two_threads_(two_threads) {
    py::gil.assert_held();
    handler.load(app);
    handler.attach(runner, [this](PyObject* e) {
        py::gil.assert_held();
        exits.push_back(describe_exception(e).type);
    });
}

Harness::~Harness() {
    py::gil.assert_held();
    runner.run_jobs();
    handler.unload();
}

ExchangePtr Harness::exchange(Asked asked) {
    return ExchangePtr::adopt(new TestExchange(std::move(asked)));
}

Routed Harness::route(Exchange& x) {
    Routed routed;
    if (two_threads_)
        std::thread([&] { routed = handler.route(x); }).join();
    else
        routed = handler.route(x);
    if (routed.body == BodyMode::collect) static_cast<TestExchange&>(x).collect();
    return routed;
}

py::Ref Harness::start(TestExchange& x) {
    const auto sink = [&x](const AnswerView& view) { x.answer(view); };
    return take_coroutine(handler.start(x, sink).next);
}

py::Ref Harness::finish(TestExchange& x, py::Ref object, bool ok) {
    const auto sink = [&x](const AnswerView& view) { x.answer(view); };
    Outcome outcome = ok ? Outcome::returned(std::move(object)) : Outcome::raised(std::move(object));
    return take_coroutine(handler.finish(x, outcome, sink).next);
}

void Harness::abort(Exchange& x) {
    handler.abort(x);
}

}  // namespace asioserve::app::test
