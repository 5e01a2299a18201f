// What every runner owes to the seam, with a handler that has no Python in it: the fake runner too.
#include <gmock/gmock.h>

#include <algorithm>
#include <future>

#ifdef CONTRACT_OF_THE_FAKE
#include "tests/contract/fake_host.hpp"
#else
#include "tests/contract/contract_test.hpp"
#endif

namespace contract {
namespace {

using namespace asioserve;

/// Answers with the path and the query.
class Native final : public Handler {
  public:
    Routed route(Exchange&) override { return {Kind::plain, BodyMode::ignore}; }
    Step start(Exchange& x, AnswerSink answer) override {
        std::string body = std::string(x.head().path) + " " + std::string(x.head().query);
        const Header fields[] = {{"x-one", "1"}, {"x-one", "again"}, {"x-empty", ""}};
        answer({.status = 201, .content_type = "text/native", .body = body, .headers = fields});
        return {};
    }
    Step finish(Exchange&, Outcome&, AnswerSink) override { return {}; }
    void abort(Exchange&) noexcept override {}
};

class SeamContract : public testing::TestWithParam<Kind> {
  protected:
    void run(const std::function<void(Host&)>& scenario) {
#ifdef CONTRACT_OF_THE_FAKE
        Host host(handler_);
#else
        Host host(runner_under_test(), handler_);
#endif
        EXPECT_EQ(host.run([&] { scenario(host); }), 0);
    }
    void TearDown() override {
        EXPECT_EQ(Record::live(), 0) << "somebody holds an exchange for ever";
    }

    Native handler_;
};

Answer native(std::string body) {
    return {
        201, std::move(body), "text/native", {{"x-one", "1"}, {"x-one", "again"}, {"x-empty", ""}}, false};
}

TEST_P(SeamContract, PassesTheWholeAnswerOn) {
    run([&](Host& host) { EXPECT_EQ(host.begin("a", "b=c", GetParam()).wait(), native("/a b=c")); });
}

TEST_P(SeamContract, AnswersEachExchangeOnceWithItsOwn) {
    run([&](Host& host) {
        std::vector<Asked> all;
        for (int i = 0; i < 300; ++i) all.push_back(host.begin("n", std::to_string(i), GetParam()));
        for (int i = 0; i < 300; ++i)
            EXPECT_EQ(all[static_cast<std::size_t>(i)].wait(), native("/n " + std::to_string(i)));
    });
}

TEST_P(SeamContract, CountsRequests) {
    run([&](Host& host) {
        for (int i = 0; i < 10; ++i) host.begin("n", "", GetParam()).wait();
        host.on_io([] {});
        EXPECT_EQ(host.runner().counters().requests, 10U);
        EXPECT_EQ(host.runner().counters().tasks, 0U);  // the handler never asked for one
    });
}

TEST_P(SeamContract, ACancelAfterTheAnswerDoesNothing) {
    run([&](Host& host) {
        Asked asked = host.begin("a", "", GetParam());
        asked.wait();
        host.cancel(asked);
        host.cancel(asked);
        EXPECT_EQ(host.begin("b", "", GetParam()).wait(), native("/b "));
    });
}

TEST_P(SeamContract, AnExchangeThatIsAnsweredIsLetGo) {
    run([&](Host& host) {
        for (int i = 0; i < 50; ++i) host.begin("a", "", GetParam()).wait();
        host.begin("b", "", GetParam()).wait();
        host.on_io([] {});
        EXPECT_EQ(Record::live(), 0);
    });
}

INSTANTIATE_TEST_SUITE_P(Kinds, SeamContract, testing::Values(Kind::plain, Kind::coroutine),
                         [](const auto& p) { return p.param == Kind::plain ? "plain" : "coroutine"; });

class SeamJobs : public SeamContract {};

TEST_P(SeamJobs, RunInOrder) {
    run([&](Host& host) {
        std::vector<int> in_python, in_io;
        std::promise<void> python_done;
        std::promise<std::thread::id> io_done;
        for (int i = 0; i < 100; ++i) {
            host.runner().to_python([&in_python, i] { in_python.push_back(i); });
            host.runner().to_io([&in_io, i] { in_io.push_back(i); });
        }
        host.runner().to_python([&] { python_done.set_value(); });
        host.runner().to_io([&] { io_done.set_value(std::this_thread::get_id()); });
        python_done.get_future().wait();
        EXPECT_EQ(io_done.get_future().get(), host.io_thread());
        EXPECT_EQ(in_python.size() + in_io.size(), 200U);
        EXPECT_TRUE(std::is_sorted(in_python.begin(), in_python.end()));
        EXPECT_TRUE(std::is_sorted(in_io.begin(), in_io.end()));
    });
}

TEST_P(SeamJobs, OwnWhatTheyCaptureUntilTheyHaveRun) {
    auto owned = std::make_shared<int>(7);
    run([&](Host& host) {
        std::promise<int> seen;
        host.runner().to_python(
            [&host, owned, &seen] { host.runner().to_io([owned, &seen] { seen.set_value(*owned); }); });
        EXPECT_EQ(seen.get_future().get(), 7);
    });
    EXPECT_EQ(owned.use_count(), 1);
}

INSTANTIATE_TEST_SUITE_P(Once, SeamJobs, testing::Values(Kind::plain), [](const auto&) { return "jobs"; });

}  // namespace
}  // namespace contract
