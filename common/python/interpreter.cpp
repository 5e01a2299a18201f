#include "common/python/interpreter.hpp"

#include <cstdlib>
#include <stdexcept>

#include "common/python/environment.hpp"
#include "common/python/errors.hpp"

namespace asioserve::py {

namespace {

void check(PyStatus status) {
    if (!PyStatus_Exception(status)) return;
    std::string why = status.err_msg ? status.err_msg : "unknown reason";
    throw std::runtime_error("the Python interpreter does not start: " + why);
}

/// Clears the PyConfig on every way out.
class Config {
  public:
    Config() { PyConfig_InitPythonConfig(&config_); }
    ~Config() { PyConfig_Clear(&config_); }
    Config(const Config&) = delete;
    Config& operator=(const Config&) = delete;
    PyConfig* operator->() { return &config_; }
    PyConfig* get() { return &config_; }

  private:
    PyConfig config_;
};

void pre_initialise(bool isolated) {
    // Decides on UTF-8 mode and locale before any text is decoded, from LC_ALL, PYTHONUTF8 and so on.
    PyPreConfig config;
    PyPreConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.isolated = isolated ? 1 : 0;
    config.use_environment = isolated ? 0 : 1;
    check(Py_PreInitialize(&config));
}

void put_in_front(const std::vector<std::string>& folders) {
    gil.assert_held();
    PyObject* path = PySys_GetObject("path");
    if (!path || !PyList_Check(path)) throw std::runtime_error("sys.path is not a list");
    Py_ssize_t at = 0;
    for (const std::string& folder : folders) {
        Ref text =
            must(PyUnicode_DecodeFSDefaultAndSize(folder.data(), static_cast<Py_ssize_t>(folder.size())));
        must_not_fail(PyList_Insert(path, at++, text.get()));
    }
}

}  // namespace

Interpreter::Interpreter(const InterpreterOptions& options) {
    const std::string executable = choose_executable(options.python, std::getenv("VIRTUAL_ENV"));
    pre_initialise(options.isolated);
    Config config;
    config->parse_argv = 0;
    config->isolated = options.isolated ? 1 : 0;
    if (options.isolated) {
        config->use_environment = 0;
        config->user_site_directory = 0;
        config->safe_path = 1;
    }
    if (!executable.empty()) {
        check(PyConfig_SetBytesString(config.get(), &config->program_name, executable.c_str()));
        check(PyConfig_SetBytesString(config.get(), &config->executable, executable.c_str()));
    }
    std::vector<char*> argv;
    for (const std::string& text : options.argv) argv.push_back(const_cast<char*>(text.c_str()));
    check(PyConfig_SetBytesArgv(config.get(), static_cast<Py_ssize_t>(argv.size()), argv.data()));
    check(Py_InitializeFromConfig(config.get()));
    up_ = true;
    try {
        put_in_front(options.path_front);
    } catch (...) {
        finalise();
        throw;
    }
}

Interpreter::~Interpreter() {
    finalise();
}

bool Interpreter::finalise() {
    if (!up_) return true;
    up_ = false;
    return Py_FinalizeEx() == 0;
}

}  // namespace asioserve::py
