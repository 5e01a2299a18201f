#include "tests/common/app/test_exchange.hpp"

#include <algorithm>

#include "common/app/router.hpp"

namespace asioserve::app::test {

namespace {

Fields copy(std::span<const Header> headers) {
    Fields fields;
    for (const Header& h : headers) fields.emplace_back(h.name, h.value);
    return fields;
}

}  // namespace

TestExchange::TestExchange(Asked asked) : asked_(std::move(asked)) {
    ++alive_;
    for (const auto& [name, value] : asked_.headers) fields_.push_back({name, value});
    const std::string_view target = asked_.target;
    const std::size_t mark = std::min(target.find('?'), target.size());
    head_.method = asked_.method;
    head_.method_id = MethodSet::id_of(asked_.method);
    head_.target = target;
    head_.path = target.substr(0, mark);
    head_.query = target.substr(std::min(mark + 1, target.size()));
    head_.headers = fields_;
    head_.content_length = static_cast<std::int64_t>(asked_.body.size());
    head_.version_minor = static_cast<std::uint8_t>(asked_.version_minor);
}

void TestExchange::answer(const AnswerView& view) {
    ++answers;
    status = view.status;
    headers = copy(view.headers);
    if (!view.content_type.empty()) headers.emplace_back("content-type", view.content_type);
    body = view.body;
}

void TestExchange::begin(const AnswerHead& head) {
    ++answers;
    begun = true;
    status = head.status;
    headers = copy(head.headers);
    content_length = head.content_length;
}

void TestExchange::write(std::string_view chunk) {
    chunks.emplace_back(chunk);
    credit -= static_cast<std::int64_t>(chunk.size());
}

void TestExchange::finish(std::span<const Header> fields) {
    finished = true;
    trailers = copy(fields);
}

void TestExchange::leave(Broken why) {
    if (why == Broken::peer_left) peer_left_ = true;
    if (listener_ != nullptr) listener_->on_broken(why);
}

void TestExchange::end() {
    peer_ended_ = true;
    if (listener_ != nullptr) listener_->on_peer_ended();
}

}  // namespace asioserve::app::test
