// Runs the functions test_* of cases_*.py as GoogleTests, each over a runner of one thread and over one of
// two.
//
// The interpreter is brought up once for the program; the module _harness gives it the handler and the
// exchanges.
#include <pybind11/embed.h>
#include <pybind11/stl.h>

#include <gtest/gtest.h>

#include "common/app/json_writer.hpp"
#include "common/python/errors.hpp"
#include "tests/common/app/harness.hpp"

namespace asioserve::app::test {
namespace {

namespace pb = pybind11;

bool looks_for_leaks = true;

pb::object object_of(py::Ref ref) {
    return pb::reinterpret_steal<pb::object>(ref.get() == nullptr ? py::new_reference(Py_None)
                                                                  : ref.release());
}

// A Python object around an ExchangePtr.
struct Handle {
    ExchangePtr x;
    Harness* harness;
    Routed routed{};
    TestExchange& get() const { return static_cast<TestExchange&>(*x); }
};

Handle make_exchange(Harness& h, std::string method, std::string target, Fields headers,
                     const pb::bytes& body, int version) {
    Handle handle{
        h.exchange({std::move(method), std::move(target), std::move(headers), std::string(body), version}),
        &h};
    handle.routed = h.route(handle.get());
    return handle;
}

pb::list latin1(const Fields& fields) {
    pb::list list;
    for (const auto& [name, value] : fields) list.append(pb::make_tuple(pb::str(name), pb::bytes(value)));
    return list;
}

Broken broken_of(const std::string& why) {
    if (why == "timed_out") return Broken::timed_out;
    if (why == "too_large") return Broken::too_large;
    if (why == "malformed") return Broken::malformed;
    if (why == "draining") return Broken::draining;
    return Broken::peer_left;
}

}  // namespace

PYBIND11_EMBEDDED_MODULE(_harness, m) {
    pb::class_<Handle>(m, "Exchange")
        .def_property_readonly("kind", [](const Handle& h) { return static_cast<int>(h.routed.kind); })
        .def_property_readonly("mode", [](const Handle& h) { return static_cast<int>(h.routed.body); })
        .def_property_readonly("answers", [](const Handle& h) { return h.get().answers; })
        .def_property_readonly("status", [](const Handle& h) { return h.get().status; })
        .def_property_readonly("headers", [](const Handle& h) { return latin1(h.get().headers); })
        .def_property_readonly("trailers", [](const Handle& h) { return latin1(h.get().trailers); })
        .def_property_readonly("body", [](const Handle& h) { return pb::bytes(h.get().body); })
        .def_property_readonly("content_length", [](const Handle& h) { return h.get().content_length; })
        .def_property_readonly("reads", [](const Handle& h) { return h.get().reads; })
        .def_property_readonly("finished", [](const Handle& h) { return h.get().finished; })
        .def_property_readonly("failed", [](const Handle& h) { return h.get().failed; })
        .def_property_readonly("listening", [](const Handle& h) { return h.get().listening() != nullptr; })
        .def_property_readonly("chunks",
                               [](const Handle& h) {
                                   pb::list list;
                                   for (const auto& c : h.get().chunks) list.append(pb::bytes(c));
                                   return list;
                               })
        .def("feed", [](const Handle& h, const pb::bytes& chunk,
                        bool last) { h.get().listening()->on_body(std::string(chunk), last); })
        .def(
            "leave", [](const Handle& h, const std::string& why) { h.get().leave(broken_of(why)); },
            pb::arg("why") = "peer_left")
        .def("end", [](const Handle& h) { h.get().end(); })
        .def("set_credit",
             [](const Handle& h, std::int64_t credit) {
                 h.get().credit = credit;
                 if (credit > 0 && h.get().listening() != nullptr) h.get().listening()->on_send_credit();
             })
        .def("start", [](Handle& h) { return object_of(h.harness->start(h.get())); })
        .def("finish",
             [](Handle& h, const pb::object& value, bool ok) {
                 return object_of(h.harness->finish(h.get(), py::Ref::borrow(value.ptr()), ok));
             })
        .def("abort", [](Handle& h) { h.harness->abort(h.get()); });
    pb::class_<Harness>(m, "Harness")
        .def(pb::init([](const pb::object& app, bool two_threads, bool sync_pool) {
            return std::make_unique<Harness>(app.ptr(), two_threads, sync_pool);
        }))
        .def("exchange", make_exchange, pb::keep_alive<0, 1>())
        .def("add_native",
             [](Harness& h, const std::string& path, const std::string& type, const std::string& body) {
                 h.handler.add_native(path, [=] { return std::pair{type, body}; });
             })
        .def("run_jobs", [](Harness& h) { return h.runner.run_jobs(); })
        .def_property_readonly("cancels", [](const Harness& h) { return h.runner.cancels; })
        .def_property_readonly("exits", [](const Harness& h) { return h.exits; })
        .def_property_readonly("errors", [](const Harness& h) {
            pb::list list;
            for (const RunError& e : h.errors) list.append(pb::make_tuple(e.type, e.message, e.traceback));
            return list;
        });
    m.def("alive", [] { return TestExchange::alive(); });
    m.def("look_for_no_leaks", [] { looks_for_leaks = false; });
    m.def("write_json", [](const pb::handle& value) {
        py::gil.assert_held();
        // On the heap, so that a sanitizer sees a step beyond its end.
        const auto writer = std::make_unique<JsonWriter>();
        return pb::bytes(std::string(writer->write(value.ptr())));
    });
}

namespace {

class PythonCase : public testing::Test {
  public:
    PythonCase(pb::handle function, bool two_threads) : function_(function), two_threads_(two_threads) {}
    void TestBody() override {
        try {
            function_(two_threads_);
        } catch (pb::error_already_set& e) {
            FAIL() << describe_exception(e.value().ptr()).traceback;
        }
    }

  private:
    pb::handle function_;
    bool two_threads_;
};

// `kept` keeps the functions: GoogleTest lets go of its factories after the interpreter has gone.
void register_cases(const char* name, pb::list& kept) {
    const pb::object cases = pb::module_::import("harness").attr("cases")(name);
    for (const pb::handle& pair : cases) {
        const auto test = pair.cast<std::pair<std::string, pb::object>>();
        kept.append(test.second);
        for (const bool two_threads : {false, true})
            testing::RegisterTest((std::string(name) + (two_threads ? "_TwoThreads" : "_OneThread")).c_str(),
                                  test.first.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                                  [function = pb::handle(test.second), two_threads]() -> testing::Test* {
                                      return new PythonCase(function, two_threads);
                                  });
    }
}

}  // namespace
}  // namespace asioserve::app::test

// What ./test.sh sets by the environment: ctest asks for the names of the cases while they are built already.
extern "C" [[gnu::visibility("default")]] const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
    return "fast_unwind_on_malloc=0:malloc_context_size=100";
}
extern "C" [[gnu::visibility("default")]] const char* __lsan_default_options();
extern "C" const char* __lsan_default_options() {
    return "print_suppressions=0:suppressions=" TEST_SUPPRESSIONS;
}

extern "C" [[gnu::visibility("default")]] int __lsan_is_turned_off();
extern "C" int __lsan_is_turned_off() {
    return asioserve::app::test::looks_for_leaks ? 0 : 1;
}

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    PyImport_AppendInittab("_asioserve", PyInit__asioserve);
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    config.write_bytecode = 0;
    PyConfig_SetBytesString(&config, &config.executable, TEST_PYTHON);
    const pybind11::scoped_interpreter interpreter(&config, 0, nullptr, false);
    const pybind11::object path = pybind11::module_::import("sys").attr("path");
    path.attr("insert")(0, TEST_CASES);
    path.attr("insert")(0, TEST_PACKAGES);
    pybind11::list kept;
    for (const char* name :
         {"cases_golden", "cases_results", "cases_json", "cases_requests", "cases_streams", "cases_failures"})
        asioserve::app::test::register_cases(name, kept);
    return RUN_ALL_TESTS();
}
