#include "common/app/load_app.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/python/errors.hpp"
#include "common/python/interpreter.hpp"

#if defined(__clang__)
// The program's main() holds the GIL for all of its tests, which the analysis cannot follow.
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

namespace asioserve::app {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class LoadApp : public testing::Test {
  protected:
    LoadApp() {
        fs::create_directories(folder_);
        python_ =
            std::make_unique<py::Interpreter>(py::InterpreterOptions{.python = TEST_PYTHON,
                                                                     .argv = {"test"},
                                                                     .path_front = {TEST_PACKAGES, folder_},
                                                                     .isolated = false});
    }
    ~LoadApp() override {
        python_.reset();
        fs::remove_all(folder_);
    }
    void file(const std::string& name, const std::string& text) {
        fs::create_directories((folder_ / name).parent_path());
        std::ofstream(folder_ / name) << text;
    }
    /// The one line that says why not; "loaded" otherwise.
    std::string refusal(const std::string& target, bool factory = false, int code = 1) {
        py::gil.assert_held();
        LoadedApp loaded = load_app(target, factory);
        EXPECT_FALSE(PyErr_Occurred());
        if (loaded.app) return "loaded";
        EXPECT_EQ(loaded.code, code);
        EXPECT_THAT(loaded.message, Not(HasSubstr("\n")));
        return loaded.message;
    }

    fs::path folder_ = fs::temp_directory_path() / ("asioserve-load-" + std::to_string(::getpid()));
    std::unique_ptr<py::Interpreter> python_;
    const std::string app_ = "from asioserve import App\napp = App()\n";
};

TEST_F(LoadApp, ByModuleAndAttribute) {
    file("one.py", app_ + "class holder:\n    inner = app\n");
    file("pack/__init__.py", "");
    file("pack/web.py", app_);
    for (const char* target : {"one:app", "one", "one:holder.inner", "pack.web:app"})
        EXPECT_EQ(refusal(target), "loaded") << target;
}

TEST_F(LoadApp, ByFileWhichFindsItsNeighbours) {
    file("sub/two.py", "import neighbour\n" + app_ + "second = app\n");
    file("sub/neighbour.py", "x = 1\n");
    EXPECT_EQ(refusal((folder_ / "sub/two.py").string()), "loaded");
    EXPECT_EQ(refusal((folder_ / "sub/two.py").string() + ":second"), "loaded");
}

TEST_F(LoadApp, FromAFileThatIsCalledLikeAModule) {
    file("sub/signal.py", app_);
    EXPECT_EQ(refusal((folder_ / "sub/signal.py").string()), "loaded");
    EXPECT_EQ(PyRun_SimpleString("import signal; signal.SIGINT"), 0);
}

TEST_F(LoadApp, FromAFactory) {
    file("made.py",
         "from asioserve import App\ndef make():\n    return App()\ndef bad():\n    return 1 / 0\nx = 1\n");
    EXPECT_EQ(refusal("made:make", true), "loaded");
    EXPECT_THAT(refusal("made:make"), HasSubstr("--factory"));
    EXPECT_THAT(refusal("made:bad", true), HasSubstr("ZeroDivisionError: division by zero"));
    EXPECT_THAT(refusal("made:bad", true), HasSubstr("made.py:5"));
    EXPECT_THAT(refusal("made:x", true), HasSubstr("no function"));
}

TEST_F(LoadApp, SaysThatThereIsNoSuchModule) {
    EXPECT_THAT(refusal("nowhere:app"), HasSubstr("there is no module \"nowhere\" in " + folder_.string()));
    EXPECT_THAT(refusal("nowhere.py"), HasSubstr("there is no file nowhere.py"));
    file("pack/__init__.py", "");
    EXPECT_THAT(refusal("pack.nowhere"), HasSubstr("there is no module \"pack.nowhere\""));
}

TEST_F(LoadApp, SaysWhatTheAppItselfCouldNotImport) {
    file("needs.py", "x = 1\nimport not_there\n");
    const std::string why = refusal("needs:app");
    EXPECT_THAT(why, HasSubstr("ModuleNotFoundError: No module named 'not_there'"));
    EXPECT_THAT(why, HasSubstr("needs.py:2)"));
}

TEST_F(LoadApp, SaysWhereItRaised) {
    file("raises.py", "def f():\n    raise ValueError('two\\nlines')\nf()\n");
    EXPECT_THAT(refusal("raises:app"), HasSubstr("cannot import \"raises:app\": ValueError: two lines ("));
    EXPECT_THAT(refusal("raises:app"), HasSubstr("raises.py:2)"));
    file("wrong.py", "x = 1\ndef f(:\n");
    EXPECT_THAT(refusal("wrong:app"), HasSubstr("wrong.py:2)"));
    EXPECT_THAT(refusal((folder_ / "wrong.py").string()), HasSubstr("SyntaxError"));
}

TEST_F(LoadApp, SaysWhichAttributeIsMissingAndWhichAppThereIs) {
    file("named.py", "from asioserve import App\napi = App()\nnumber = 7\n");
    EXPECT_THAT(refusal("named"),
                HasSubstr("module \"named\" has no attribute \"app\"; it has the app named:api"));
    EXPECT_THAT(refusal("named:number"), HasSubstr("is of type builtins.int, not asioserve.App"));
    EXPECT_THAT(refusal("named:1x"), HasSubstr("neither module:attribute nor file.py:attribute"));
    EXPECT_THAT(refusal(":app"), HasSubstr("neither"));
}

TEST_F(LoadApp, EndsAsTheAppsImportSays) {
    file("leaves.py", "import sys\nsys.exit(5)\n");
    EXPECT_EQ(refusal("leaves:app", false, 5), "");
    file("stops.py", "raise KeyboardInterrupt\n");
    EXPECT_THAT(refusal("stops:app", false, 130), HasSubstr("interrupted"));
    file("says.py", "import sys\nsys.exit('the reason')\n");
    testing::internal::CaptureStderr();
    EXPECT_EQ(refusal("says:app", false, 1), "");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "the reason\n");
}

TEST_F(LoadApp, LeavesNoHalfImportedFileBehind) {
    const std::string path = (folder_ / "half.py").string();
    file("half.py", "raise ValueError\n");
    EXPECT_NE(refusal(path), "loaded");
    file("half.py", app_);
    EXPECT_EQ(refusal(path), "loaded");
}

}  // namespace
}  // namespace asioserve::app
