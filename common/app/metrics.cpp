#include "common/app/metrics.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>

namespace asioserve::app {

namespace {

std::string number(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.3f", value);
    return text.data();
}

void metric(std::string& out, std::string_view name, std::string_view type, std::string_view help,
            const std::string& value) {
    const std::string full = "asioserve_" + std::string(name);
    out += "# HELP " + full + " " + std::string(help) + "\n# TYPE " + full + " " + std::string(type) + "\n" +
           full + " " + value + "\n";
}

void counter(std::string& out, std::string_view name, std::string_view help, std::uint64_t value) {
    metric(out, name, "counter", help, std::to_string(value));
}

void gauge(std::string& out, std::string_view name, std::string_view help, std::uint64_t value) {
    metric(out, name, "gauge", help, std::to_string(value));
}

}  // namespace

std::string metrics_text(const Figures& f) {
    std::string out =
        "# HELP asioserve_info What runs.\n# TYPE asioserve_info gauge\nasioserve_info{stage=\"" +
        std::to_string(f.stage) + "\",version=\"" + f.version + "\",python=\"" + f.python + "\"} 1\n";
    gauge(out, "stage", "The stage in use.", static_cast<std::uint64_t>(f.stage));
    metric(out, "uptime_seconds", "gauge", "Since the server began to accept.", number(f.uptime.count()));
    counter(out, "requests_total", "Requests that a runner has started.", f.counters.requests);
    counter(out, "gil_acquisitions_total", "Times that the runner took the GIL.",
            f.counters.gil_acquisitions);
    counter(out, "hand_offs_total", "Times that a request or an answer changed threads.",
            f.counters.hand_offs);
    counter(out, "wake_ups_total", "System calls that woke another thread.", f.counters.wake_ups);
    counter(out, "tasks_total", "asyncio tasks made for requests.", f.counters.tasks);
    counter(out, "connections_total", "Connections accepted.", f.server.connections_accepted);
    gauge(out, "connections_open", "Connections open now.", f.server.connections_open);
    counter(out, "exchanges_total", "Requests read, those answered without Python among them.",
            f.server.exchanges_started);
    gauge(out, "exchanges_active", "Requests that wait for their answer.", f.server.exchanges_active);
    counter(out, "sends_total", "System calls that sent.", f.server.sends);
    counter(out, "reads_total", "Reads that completed.", f.server.reads);
    counter(out, "refused_total", "Requests that were no proper HTTP or beyond a limit.", f.server.refused);
    counter(out, "timeouts_total", "Peers that were too slow.", f.server.timeouts);
    counter(out, "accept_failures_total", "Connections that could not be accepted.",
            f.server.accept_failures);
    out +=
        "# HELP asioserve_answers_total Answers by class of status; none: given up.\n"
        "# TYPE asioserve_answers_total counter\n";
    for (std::size_t i = 0; i < f.server.answers_by_class.size(); ++i)
        out += "asioserve_answers_total{status=\"" +
               (i == 0 ? std::string("none") : std::to_string(i) + "xx") + "\"} " +
               std::to_string(f.server.answers_by_class[i]) + "\n";
    return out;
}

std::string status_json(const Figures& f) {
    return "{\"stage\":" + std::to_string(f.stage) + ",\"pid\":" + std::to_string(::getpid()) +
           ",\"version\":\"" + f.version + "\",\"python\":\"" + f.python +
           "\",\"requests\":" + std::to_string(f.server.exchanges_started) +
           ",\"connections\":" + std::to_string(f.server.connections_open) +
           ",\"uptime\":" + number(f.uptime.count()) + "}";
}

std::string counters_line(const Figures& f) {
    const auto& c = f.counters;
    const auto& s = f.server;
    return "counters: requests " + std::to_string(c.requests) + ", GIL acquisitions " +
           std::to_string(c.gil_acquisitions) + ", hand-offs " + std::to_string(c.hand_offs) + ", wake-ups " +
           std::to_string(c.wake_ups) + ", tasks " + std::to_string(c.tasks) + "; connections " +
           std::to_string(s.connections_accepted) + ", exchanges " + std::to_string(s.exchanges_started) +
           ", sends " + std::to_string(s.sends) + ", reads " + std::to_string(s.reads);
}

}  // namespace asioserve::app
