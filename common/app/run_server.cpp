#include "common/python/errors.hpp"

#include "common/app/run_server.hpp"

#include <asio/version.hpp>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "common/app/access_log.hpp"
#include "common/app/app_handler.hpp"
#include "common/app/env_file.hpp"
#include "common/app/faults.hpp"
#include "common/app/load_app.hpp"
#include "common/app/metrics.hpp"
#include "common/app/server_program.hpp"
#include "common/app/sockets.hpp"
#include "common/options/parse.hpp"
#include "common/python/environment.hpp"
#include "common/python/interpreter.hpp"

namespace asioserve::app {

namespace {

/// A flag or an environment that cannot be followed.
constexpr int wrong_usage = 2;

/// A part that the bench leaves away: ASIOSERVE_ABLATE is a list of names.
bool ablated(std::string_view part) {
    const char* wanted = std::getenv("ASIOSERVE_ABLATE");
    return wanted && std::string_view(wanted).find(part) != std::string_view::npos;
}

http::ServerOptions server_options(const options::Options& o, bool access_log) {
    http::ServerOptions s;
    s.limits.head_bytes = o.limits.head_bytes;
    s.limits.body_bytes = static_cast<std::int64_t>(o.limits.body_bytes);
    s.limits.connections = o.limits.connections;
    s.limits.pipelined = o.limits.pipelined;
    s.limits.send_buffer_bytes = o.limits.send_buffer_bytes;
    s.limits.header_time = o.limits.header_time;
    s.limits.body_time = o.limits.body_time;
    s.limits.keep_alive = o.limits.keep_alive;
    s.limits.write_time = o.limits.write_time;
    s.server_header = o.server_header;
    s.date_header = o.date_header;
    s.headers = o.headers;
    s.access_log = access_log;
    s.deferred_sends = !ablated("no-deferred-sends");
    return s;
}

py::InterpreterOptions interpreter_options(const options::Options& o) {
    py::InterpreterOptions i;
    i.python = o.python;
    i.isolated = o.isolated;
    i.argv.push_back(o.app);
    i.argv.insert(i.argv.end(), o.app_arguments.begin(), o.app_arguments.end());
    // Ours first: a file asioserve.py beside the app must not stand in for the package that this program is
    // made of.
    i.path_front = {py::package_folder(), absolute_folder(o.app_dir)};
    return i;
}

std::string python_version() {
    return std::to_string(PY_MAJOR_VERSION) + "." + std::to_string(PY_MINOR_VERSION) + "." +
           std::to_string(PY_MICRO_VERSION);
}

AppHandler::Options handler_options(const options::Options& o, const Log& log) {
    return {.sync_pool = o.sync == options::Sync::pool,
            .on_error = [&log](const RunError& error, const RequestHead& head) {
                log.error("unhandled exception in " + printable(head.method) + " " + printable(head.target) +
                          "\n" + error.traceback);
            }};
}

/// What main() has made before there is an app.
struct Process {
    const options::Options& options;
    int stage;
    const MakeRunner& make_runner;
    const Log& log;
    asio::io_context& io;
    Sockets& sockets;
    Signals& signals;
    SupervisorPipe& supervisor;
};

Figures figures_of(const Process& p) {
    Figures figures;
    figures.stage = p.stage;
    figures.version = options::version();
    figures.python = python_version();
    return figures;
}

ServerProgram::Settings settings_of(const Process& p) {
    return {.drain_time = p.options.limits.drain_time,
            .gc_freeze = p.options.gc_freeze,
            .fault_proof = p.options.faults.proof,
            .fault_proof_hang = p.options.faults.proof_hang,
            .addresses = p.sockets.addresses(),
            .about = "(stage " + std::to_string(p.stage) + ", CPython " + python_version() + ")"};
}

/// Status and metrics, answered on the I/O thread without Python.
void add_pages(AppHandler& handler, const options::Options& o, const std::function<Figures()>& snapshot) {
    if (!o.metrics_path.empty())
        handler.add_native(o.metrics_path, [snapshot] {
            return std::pair(std::string(metrics_type), metrics_text(snapshot()));
        });
    if (!o.status_path.empty())
        handler.add_native(o.status_path, [snapshot] {
            return std::pair(std::string("application/json"), status_json(snapshot()));
        });
}

/// A runner lets go of Python objects when it goes.
struct DeleteWithGil {
    void operator()(Runner* runner) const {
        py::GilAcquire held;
        delete runner;
    }
};

/// Runner, server, run. Without the GIL: whoever needs it takes it.
int serve(const Process& p, AppHandler& handler, Handler& asked, Proof* proof, PyObject* app) {
    const bool access_log = p.options.access_log && p.log.shows(Log::Level::info);
    http::AccessLog write_access;
    if (access_log)
        write_access = [&log = p.log](const http::AccessRecord& record) { log.info(access_line(record)); };

    const std::unique_ptr<Runner, DeleteWithGil> runner(p.make_runner(p.io, asked).release());
    http::Server server(p.io, server_options(p.options, access_log), handler, *runner, write_access);
    p.sockets.give_to(server);
    ServerProgram program({p.io, server, *runner, p.signals, p.supervisor, proof, p.log, app},
                          settings_of(p));
    handler.attach(*runner, [&program](PyObject* exception) {
        py::gil.assert_held();
        program.exit_by(exception);
    });
    const auto snapshot = [figures = figures_of(p), &program, &runner, &server] {
        Figures now = figures;
        now.uptime = program.uptime();
        now.counters = runner->counters();
        now.server = server.stats();
        return now;
    };
    add_pages(handler, p.options, snapshot);
    const int code = runner->run(program);
    p.log.info(counters_line(snapshot()));
    return code;
}

/// From the app's import to its end.
int run_app(const Process& p) ASIOSERVE_REQUIRES(py::gil) {
    const options::Options& o = p.options;
    p.supervisor.say("importing");
    const LoadedApp loaded = load_app(o.app, o.factory);
    if (!loaded.app) {
        if (!loaded.message.empty()) p.log.error(loaded.message);
        if (p.log.shows(Log::Level::debug)) p.log.debug(loaded.traceback);
        return loaded.code;
    }
    AppHandler handler(handler_options(o, p.log));
    handler.load(loaded.app.get());
    p.signals.install();
    p.supervisor.say("imported");

    // Who is asked: the app's handler, behind what only tests and supervised servers need.
    FaultyHandler faulty(handler, o.faults);
    Handler& served = o.faults.crash_after || o.faults.hang_after ? static_cast<Handler&>(faulty) : handler;
    Proof proof(served);
    const bool supervised = p.supervisor.supervised();
    Handler& asked = supervised ? static_cast<Handler&>(proof) : served;
    int code = 1;
    {
        py::GilRelease without;
        code = serve(p, handler, asked, supervised ? &proof : nullptr, loaded.app.get());
    }
    handler.unload();
    return code;
}

int run(const options::Options& o, int stage, const MakeRunner& make_runner, const Log& log) {
    Sockets sockets(o.listening);
    PyImport_AppendInittab("_asioserve", PyInit__asioserve);
    // The reactor's own lock goes: one thread drives it. Posting from other threads stays safe.
    asio::io_context io(ASIO_CONCURRENCY_HINT_UNSAFE_IO);
    SupervisorPipe supervisor(io, o.supervisor_fd);
    Signals signals(io, {.supervised = supervisor.supervised(), .drain_time = o.limits.drain_time});
    std::optional<py::Interpreter> python;
    try {
        python.emplace(interpreter_options(o));
    } catch (const std::exception& error) {
        log.error(error.what());
        return wrong_usage;  // the environment is at fault: no other stage would do better
    }
    py::gil.assert_held();
    const int code = run_app({o, stage, make_runner, log, io, sockets, signals, supervisor});
    signals.outlive_python();
    return python->finalise() || code != 0 ? code : 120;
}

}  // namespace

int run_server(int argc, char** argv, int stage, const MakeRunner& make_runner) {
    const std::string version =
        "asioserve stage " + std::to_string(stage) + " " + std::string(options::version()) + " (CPython " +
        python_version() + ", Asio " + std::to_string(ASIO_VERSION / 100000) + "." +
        std::to_string(ASIO_VERSION / 100 % 1000) + "." + std::to_string(ASIO_VERSION % 100) + ")";
    const options::ParseResult parsed = options::parse(argc, argv, options::Program::stage, version);
    if (!parsed.run) return parsed.report();
    const Log log(parsed.options.log_level);
    try {
        if (!parsed.options.env_file.empty()) load_env_file(parsed.options.env_file);
    } catch (const std::exception& error) {
        log.error(error.what());
        return wrong_usage;
    }
    try {
        return run(parsed.options, stage, make_runner, log);
    } catch (const std::exception& error) {
        log.error(error.what());
        return 1;
    }
}

}  // namespace asioserve::app
