#include "common/python/interpreter.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "common/python/errors.hpp"

#if defined(__clang__)
// The program's main() holds the GIL for all of its tests, which the analysis cannot follow.
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

namespace asioserve::py {
namespace {

std::string evaluate(const std::string& expression) {
    gil.assert_held();
    Ref globals = must(PyDict_New());
    must_not_fail(PyDict_SetItemString(globals.get(), "__builtins__", PyEval_GetBuiltins()));
    Ref value = must(PyRun_String(expression.c_str(), Py_eval_input, globals.get(), globals.get()));
    Ref text = must(PyObject_Str(value.get()));
    return PyUnicode_AsUTF8(text.get());
}

/// A variable of the environment for the length of a test.
class Variable {
  public:
    Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
    ~Variable() { ::unsetenv(name_); }

  private:
    const char* name_;
};

InterpreterOptions plain() {
    InterpreterOptions options;
    options.python = TEST_PYTHON;
    options.argv = {"hello:app", "--flag", "ä"};
    options.path_front = {"/front/one", "/front/two"};
    return options;
}

TEST(Interpreter, HasTheArgumentsAndThePathItWasGiven) {
    Interpreter python(plain());
    EXPECT_EQ(evaluate("__import__('sys').argv"), "['hello:app', '--flag', 'ä']");
    EXPECT_EQ(evaluate("__import__('sys').path[:2]"), "['/front/one', '/front/two']");
}

TEST(Interpreter, SeesItsVirtualEnvironment) {
    Interpreter python(plain());
    EXPECT_EQ(evaluate("__import__('sys').executable"), TEST_PYTHON);
    const std::string by_itself = evaluate(
        "__import__('subprocess').check_output([__import__('sys').executable, '-c', "
        "'import sys; print(sys.prefix, sys.base_prefix, sys.path[1:])'], text=True).strip()");
    EXPECT_EQ(evaluate("' '.join(map(str, [(s := __import__('sys')).prefix, s.base_prefix, s.path[2:]]))"),
              by_itself);
}

TEST(Interpreter, ObeysPythonVariables) {
    Variable optimise("PYTHONOPTIMIZE", "1"), path("PYTHONPATH", "/from/pythonpath"), utf8("PYTHONUTF8", "1");
    Interpreter python(plain());
    EXPECT_EQ(evaluate("__debug__"), "False");
    EXPECT_EQ(evaluate("'/from/pythonpath' in __import__('sys').path"), "True");
    EXPECT_EQ(evaluate("__import__('sys').flags.utf8_mode"), "1");
}

TEST(Interpreter, IsIsolatedOnlyOnRequest) {
    Variable path("PYTHONPATH", "/from/pythonpath");
    InterpreterOptions options = plain();
    {
        Interpreter python(options);
        EXPECT_EQ(evaluate("__import__('sys').flags.isolated"), "0");
    }
    options.isolated = true;
    Interpreter python(options);
    EXPECT_EQ(evaluate("__import__('sys').flags.isolated"), "1");
    EXPECT_EQ(evaluate("'/from/pythonpath' in __import__('sys').path"), "False");
}

TEST(Interpreter, InstallsPythonsOwnSignalHandlers) {
    Interpreter python(plain());
    EXPECT_EQ(evaluate("(s := __import__('signal')).getsignal(s.SIGINT) is s.default_int_handler"), "True");
    EXPECT_EQ(evaluate("(s := __import__('signal')).getsignal(s.SIGPIPE) == s.SIG_IGN"), "True");
}

TEST(Interpreter, ComesUpAgainAfterItsEnd) {
    for (int i = 0; i < 3; ++i) {
        Interpreter python(plain());
        EXPECT_EQ(evaluate("1 + 1"), "2");
        EXPECT_TRUE(python.finalise());
    }
}

TEST(Interpreter, LetsAnotherThreadIn) {
    Interpreter python(plain());
    std::string answer;
    {
        GilRelease without;
        std::thread([&] {
            GilAcquire held;
            answer = evaluate("6 * 7");
        }).join();
    }
    EXPECT_EQ(answer, "42");
}

TEST(Interpreter, DoesNotStartWithAnEnvironmentThatCannotWork) {
    InterpreterOptions options = plain();
    options.python = "/no/such/python";
    EXPECT_THROW(Interpreter{options}, std::runtime_error);
    EXPECT_FALSE(Py_IsInitialized());
}

}  // namespace
}  // namespace asioserve::py
