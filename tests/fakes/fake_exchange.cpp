#include "tests/fakes/fake_exchange.hpp"

#include <atomic>

namespace asioserve::fakes {
namespace {

std::atomic<int> living{0};
std::atomic<std::uint64_t> last_id{0};

Method method_of(std::string_view name) {
    constexpr std::pair<std::string_view, Method> known[] = {
        {"GET", Method::get},     {"HEAD", Method::head},  {"POST", Method::post},       {"PUT", Method::put},
        {"PATCH", Method::patch}, {"DELETE", Method::del}, {"OPTIONS", Method::options},
    };
    for (const auto& [text, method] : known)
        if (text == name) return method;
    return Method::other;
}

FakeExchange::Fields copy(std::span<const Header> headers) {
    FakeExchange::Fields fields;
    for (const Header& h : headers) fields.emplace_back(h.name, h.value);
    return fields;
}

}  // namespace

ExchangePtr FakeExchange::make(std::string method, std::string target, Fields headers, std::string body) {
    return ExchangePtr::adopt(
        new FakeExchange(std::move(method), std::move(target), std::move(headers), std::move(body)));
}

int FakeExchange::alive() noexcept {
    return living.load();
}

FakeExchange::FakeExchange(std::string method, std::string target, Fields headers, std::string body)
    : method_text_(std::move(method)),
      target_text_(std::move(target)),
      body_text_(std::move(body)),
      fields_(std::move(headers)) {
    ++living;
    id_ = ++last_id;
    for (const auto& [name, value] : fields_) header_views_.push_back({name, value});
    const std::string_view all = target_text_;
    const std::size_t mark = all.find('?');
    head_.method = method_text_;
    head_.method_id = method_of(method_text_);
    head_.target = all;
    head_.path = all.substr(0, mark);
    head_.query = mark == std::string_view::npos ? std::string_view() : all.substr(mark + 1);
    head_.headers = header_views_;
    head_.content_length = static_cast<std::int64_t>(body_text_.size());
    body_ = body_text_;
}

FakeExchange::~FakeExchange() {
    --living;
}

void FakeExchange::complete() {
    complete_ = true;
    ++answers_;
    done_.notify_all();
}

void FakeExchange::answer(const AnswerView& answer) {
    const std::lock_guard lock(mutex_);
    status_ = answer.status;
    content_type_ = answer.content_type;
    answer_body_ = answer.body;
    answer_headers_ = copy(answer.headers);
    complete();
}

void FakeExchange::begin(const AnswerHead& head) {
    const std::lock_guard lock(mutex_);
    streamed_ = true;
    status_ = head.status;
    answer_headers_ = copy(head.headers);
}

void FakeExchange::write(std::string_view chunk) {
    const std::lock_guard lock(mutex_);
    ++writes_;
    answer_body_.append(chunk);
    credit_ -= static_cast<std::int64_t>(chunk.size());
}

void FakeExchange::finish(std::span<const Header> trailers) {
    const std::lock_guard lock(mutex_);
    trailers_ = copy(trailers);
    complete();
}

void FakeExchange::fail() {
    const std::lock_guard lock(mutex_);
    failed_ = true;
    if (!streamed_) status_ = 500;
    complete();
}

std::int64_t FakeExchange::send_credit() const noexcept {
    return locked(credit_);
}

void FakeExchange::read_body() {
    const std::lock_guard lock(mutex_);
    ++body_reads_;
}

bool FakeExchange::wait(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return done_.wait_for(lock, limit, [this] { return complete_; });
}

void FakeExchange::give_body(std::string_view chunk, bool last) {
    {
        const std::lock_guard lock(mutex_);
        --body_reads_;
    }
    if (listener_) listener_->on_body(chunk, last);
}

void FakeExchange::leave(Broken why) {
    peer_left_ = true;
    if (listener_) listener_->on_broken(why);
}

void FakeExchange::credit(std::int64_t bytes) {
    const std::lock_guard lock(mutex_);
    credit_ = bytes;
}

void FakeExchange::drain_peer(std::int64_t bytes) {
    credit(bytes);
    if (listener_) listener_->on_send_credit();
}

}  // namespace asioserve::fakes
