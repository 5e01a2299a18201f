#include "common/app/metrics.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

namespace asioserve::app {
namespace {

using testing::HasSubstr;

Figures figures() {
    Figures f;
    f.stage = 2;
    f.version = "1.2.3";
    f.python = "3.11.2";
    f.uptime = std::chrono::milliseconds(1500);
    f.counters.requests = 11;
    f.counters.gil_acquisitions = 12;
    f.counters.hand_offs = 13;
    f.counters.wake_ups = 14;
    f.counters.tasks = 15;
    f.server.connections_accepted = 16;
    f.server.connections_open = 17;
    f.server.exchanges_started = 18;
    f.server.exchanges_active = 19;
    f.server.sends = 20;
    f.server.reads = 21;
    f.server.refused = 22;
    f.server.timeouts = 23;
    f.server.accept_failures = 24;
    f.server.answers_by_class = {1, 0, 3, 0, 5, 6};
    return f;
}

TEST(Metrics, TellEachCounterWithItsType) {
    const std::string text = metrics_text(figures());
    EXPECT_THAT(text, HasSubstr("asioserve_info{stage=\"2\",version=\"1.2.3\",python=\"3.11.2\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("# TYPE asioserve_uptime_seconds gauge\nasioserve_uptime_seconds 1.500\n"));
    EXPECT_THAT(text, HasSubstr("# TYPE asioserve_requests_total counter\nasioserve_requests_total 11\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_gil_acquisitions_total 12\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_hand_offs_total 13\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_wake_ups_total 14\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_tasks_total 15\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_connections_total 16\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_connections_open 17\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_exchanges_total 18\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_exchanges_active 19\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_sends_total 20\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_reads_total 21\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_refused_total 22\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_timeouts_total 23\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_accept_failures_total 24\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_answers_total{status=\"none\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("\nasioserve_answers_total{status=\"5xx\"} 6\n"));
    EXPECT_EQ(text.back(), '\n');
}

TEST(Metrics, ExplainEveryMetricOnce) {
    const std::string text = metrics_text(figures());
    std::size_t helps = 0, types = 0, lines = 0;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        helps += line.starts_with("# HELP ");
        types += line.starts_with("# TYPE ");
        lines += !line.starts_with("#");
    }
    EXPECT_EQ(helps, types);
    EXPECT_GE(lines, helps);
    EXPECT_GE(helps, 13u);
}

TEST(Status, IsJsonWithTheStage) {
    EXPECT_EQ(status_json(figures()), "{\"stage\":2,\"pid\":" + std::to_string(::getpid()) +
                                          ",\"version\":\"1.2.3\",\"python\":\"3.11.2\",\"requests\":18,"
                                          "\"connections\":17,\"uptime\":1.500}");
}

TEST(CountersLine, HasWhatExplainsTheSpeed) {
    EXPECT_EQ(
        counters_line(figures()),
        "counters: requests 11, GIL acquisitions 12, hand-offs 13, wake-ups 14, tasks 15; connections 16, "
        "exchanges 18, sends 20, reads 21");
}

}  // namespace
}  // namespace asioserve::app
