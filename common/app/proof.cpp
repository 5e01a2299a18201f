#include "common/app/proof.hpp"

#include "common/python/errors.hpp"

namespace asioserve::app {

namespace {

constexpr std::string_view returned = "returned";

std::string how_it_ended(const Outcome& outcome) {
    py::gil.assert_held();
    if (outcome.ok()) return std::string(returned);
    RunError error = describe_exception(outcome.object());
    return error.message.empty() ? error.type : error.type + ": " + error.message;
}

}  // namespace

/// A request that came from nowhere; its answer goes back to Python.
class Proof::Canary final : public Exchange {
  public:
    Canary(Proof& proof, Runner& runner, std::size_t token) : proof_(proof), runner_(runner), token_(token) {
        head_.method = "GET";
        head_.method_id = Method::get;
        head_.target = head_.path = "/";
    }

    Endpoints endpoints() const noexcept override { return {"canary:", "canary:"}; }
    void answer(const AnswerView& answer) override { land(std::string(answer.body)); }
    void begin(const AnswerHead&) override { land("was answered as a stream"); }
    void write(std::string_view) override {}
    void finish(std::span<const Header>) override {}
    void fail() override { land("was given up"); }
    std::int64_t send_credit() const noexcept override { return 1; }
    void read_body() override {}

  private:
    void dispose() noexcept override { delete this; }
    void land(std::string how) {
        if (landed_) how = "was answered twice";
        landed_ = true;
        runner_.to_python(
            [&proof = proof_, token = token_, how = std::move(how)] { proof.landed(token, how); });
    }

    Proof& proof_;
    Runner& runner_;
    std::size_t token_;
    bool landed_ = false;
};

Proof::~Proof() = default;

int Proof::fly(Runner& runner, py::Ref function, bool plain, py::Ref done) {
    const std::size_t token = flights_.size();
    ExchangePtr exchange = ExchangePtr::adopt(new Canary(*this, runner, token));
    flights_.push_back({exchange, std::move(function), std::move(done), plain});
    runner.to_io([&runner, exchange = std::move(exchange), plain]() mutable {
        runner.start(std::move(exchange), plain ? Kind::plain : Kind::coroutine);
    });
    return static_cast<int>(token);
}

void Proof::cancel(Runner& runner, int token) {
    const auto index = static_cast<std::size_t>(token);
    if (index >= flights_.size()) return;
    runner.to_io([&runner, exchange = flights_[index].exchange] { runner.cancel(*exchange); });
}

void Proof::end() noexcept {
    flights_.clear();
}

void Proof::landed(std::size_t token, const std::string& how) {
    py::gil.assert_held();
    if (token >= flights_.size()) return;
    py::Ref done = flights_[token].done;
    py::Ref text =
        py::Ref::steal(PyUnicode_DecodeUTF8(how.data(), static_cast<Py_ssize_t>(how.size()), "replace"));
    py::Ref result = text ? py::Ref::steal(PyObject_CallOneArg(done.get(), text.get())) : py::Ref();
    if (!result) PyErr_WriteUnraisable(done.get());
}

const Proof::Flight* Proof::find(const Exchange& x) const noexcept {
    for (const Flight& flight : flights_)
        if (flight.exchange.get() == &x) return &flight;
    return nullptr;
}

Step Proof::start(Exchange& x, AnswerSink answer) {
    const Flight* flight = find(x);
    if (!flight) return inner_.start(x, answer);
    const bool plain = flight->plain;
    py::Ref result = py::Ref::steal(PyObject_CallNoArgs(py::Ref(flight->function).get()));
    if (result && !plain) return {as_computation(std::move(result))};
    Outcome outcome = result ? Outcome::returned(std::move(result)) : Outcome::raised_now();
    return finish(x, outcome, answer);
}

Step Proof::finish(Exchange& x, Outcome& outcome, AnswerSink answer) {
    if (!find(x)) return inner_.finish(x, outcome, answer);
    const std::string how = how_it_ended(outcome);
    answer(AnswerView{.status = 200, .content_type = "text/plain", .body = how});
    return {};
}

void Proof::abort(Exchange& x) noexcept {
    if (!find(x)) inner_.abort(x);
}

}  // namespace asioserve::app
