#include "tests/contract/recorded_exchange.hpp"

#include <atomic>
#include <chrono>
#include <gtest/gtest.h>

namespace contract {

using namespace asioserve;

namespace {
std::atomic<int> live_exchanges{0};
}

void PrintTo(const Answer& answer, std::ostream* out) {
    *out << answer.status << " \"" << answer.body << "\" (" << answer.content_type << ")"
         << (answer.failed ? " failed" : "");
}

Answer Record::wait() {
    std::unique_lock held(lock_);
    if (!changed_.wait_for(held, std::chrono::seconds(10), [&] { return !answers_.empty(); })) {
        ADD_FAILURE() << "no answer within ten seconds";
        return {};
    }
    return answers_.front();
}

bool Record::answered() {
    std::lock_guard held(lock_);
    return !answers_.empty();
}

int Record::live() noexcept {
    return live_exchanges.load();
}

void Record::keep(Answer answer) {
    {
        std::lock_guard held(lock_);
        answers_.push_back(std::move(answer));
        EXPECT_EQ(answers_.size(), 1U) << "an exchange was answered again";
    }
    changed_.notify_all();
}

RecordedExchange::RecordedExchange(const std::string& name, std::string query, std::thread::id io,
                                   std::shared_ptr<Record> record)
    : path_(std::string("/").append(name)),
      query_(std::move(query)),
      target_(std::string(path_).append("?").append(query_)),
      io_(io),
      record_(std::move(record)) {
    static std::atomic<std::uint64_t> ids{0};
    head_.method = "GET";
    head_.method_id = Method::get;
    head_.target = target_;
    head_.path = path_;
    head_.query = query_;
    id_ = ++ids;
    ++live_exchanges;
}

RecordedExchange::~RecordedExchange() {
    --live_exchanges;
}

void RecordedExchange::check_thread() const {
    EXPECT_EQ(std::this_thread::get_id(), io_)
        << "a verb of " << path_ << " was not called on the I/O thread";
}

void RecordedExchange::answer(const AnswerView& view) {
    check_thread();
    Answer a{view.status, std::string(view.body), std::string(view.content_type), {}, false};
    for (const Header& h : view.headers) a.headers.emplace_back(h.name, h.value);
    record_->keep(std::move(a));
}

void RecordedExchange::begin(const AnswerHead& head) {
    check_thread();
    streamed_.status = head.status;
}

void RecordedExchange::write(std::string_view chunk) {
    check_thread();
    streamed_.body += chunk;
}

void RecordedExchange::finish(std::span<const Header>) {
    check_thread();
    record_->keep(std::move(streamed_));
}

// May come when I/O has ended, from the thread that ends it.
void RecordedExchange::fail() {
    record_->keep({.status = 500, .body = {}, .content_type = {}, .headers = {}, .failed = true});
}

}  // namespace contract
