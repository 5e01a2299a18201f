#include "common/python/errors.hpp"

#include <gmock/gmock.h>

#include "common/app/computation.hpp"
#include "common/python/interpreter.hpp"

#if defined(__clang__)
// The program's main() holds the GIL for all of its tests, which the analysis cannot follow.
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

namespace asioserve::py {
namespace {

using testing::HasSubstr;

class Errors : public testing::Test {
  protected:
    /// Runs a program that raises; the exception stays set.
    static void raise(const std::string& program) {
        Ref globals = must(PyDict_New());
        must_not_fail(PyDict_SetItemString(globals.get(), "__builtins__", PyEval_GetBuiltins()));
        Ref result = Ref::steal(PyRun_String(program.c_str(), Py_file_input, globals.get(), globals.get()));
        ASSERT_FALSE(result);
    }

    Interpreter python_{{.python = TEST_PYTHON, .argv = {"test"}, .path_front = {}, .isolated = false}};
};

TEST_F(Errors, AreTakenAsAnInstanceWithItsTraceback) {
    raise("def f():\n    raise ValueError('text')\nf()\n");
    Ref exception = take_raised();
    EXPECT_FALSE(PyErr_Occurred());
    RunError error = describe_exception(exception.get());
    EXPECT_EQ(error.type, "ValueError");
    EXPECT_EQ(error.message, "text");
    EXPECT_THAT(error.traceback, HasSubstr("line 2, in f"));
    EXPECT_THAT(error.traceback, HasSubstr("ValueError: text\n"));
}

TEST_F(Errors, AreNothingWhenNoneIsSet) {
    EXPECT_FALSE(take_raised());
}

TEST_F(Errors, AreDescribedWithTheirCauses) {
    raise("try:\n    1/0\nexcept Exception as e:\n    raise KeyError('k') from e\n");
    RunError error = describe_exception(take_raised().get());
    EXPECT_THAT(error.traceback, HasSubstr("ZeroDivisionError"));
    EXPECT_THAT(error.traceback, HasSubstr("direct cause"));
}

TEST_F(Errors, ThatCannotBePrintedAreDescribedAllTheSame) {
    raise("class E(Exception):\n    def __str__(self): raise RuntimeError('no')\nraise E()\n");
    RunError error = describe_exception(take_raised().get());
    EXPECT_EQ(error.type, "E");
    EXPECT_FALSE(error.traceback.empty());
    EXPECT_FALSE(PyErr_Occurred());
}

TEST_F(Errors, KeepTextThatIsNoUtf8) {
    raise("raise OSError('a\\udcffb')\n");
    EXPECT_EQ(describe_exception(take_raised().get()).message, "a\\udcffb");
}

TEST_F(Errors, DoNotDisturbAnotherOneThatIsSet) {
    raise("raise KeyError('other')\n");
    Ref other = take_raised();
    raise("raise ValueError('pending')\n");
    EXPECT_EQ(describe_exception(other.get()).type, "KeyError");
    EXPECT_EQ(describe_exception(take_raised().get()).message, "pending");
}

TEST_F(Errors, BecomeAnOutcome) {
    raise("raise ValueError('text')\n");
    Outcome outcome = Outcome::raised_now();
    EXPECT_FALSE(outcome.ok());
    EXPECT_TRUE(PyErr_GivenExceptionMatches(outcome.object(), PyExc_ValueError));
    EXPECT_FALSE(PyErr_Occurred());
}

TEST_F(Errors, TravelThroughSetUpCodeAsText) {
    try {
        must(PyImport_ImportModule("no_such_module"));
        FAIL();
    } catch (const PythonError& error) {
        EXPECT_STREQ(error.what(), "ModuleNotFoundError: No module named 'no_such_module'");
    }
    EXPECT_FALSE(PyErr_Occurred());
}

}  // namespace
}  // namespace asioserve::py
