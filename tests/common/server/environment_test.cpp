#include "common/python/environment.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/python/python.hpp"

namespace asioserve::py {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string ours = std::to_string(PY_MAJOR_VERSION) + "." + std::to_string(PY_MINOR_VERSION);
const std::string other = std::to_string(PY_MAJOR_VERSION) + "." + std::to_string(PY_MINOR_VERSION + 1);

class Environment : public testing::Test {
  protected:
    void SetUp() override { fs::create_directories(root / "bin"); }
    void TearDown() override { fs::remove_all(root); }
    void make_python(const std::string& name = "python") {
        std::ofstream(root / "bin" / name) << "#!/bin/sh\n";
        fs::permissions(root / "bin" / name, fs::perms::owner_all);
    }
    void configure(const std::string& line) {
        std::ofstream(root / "pyvenv.cfg") << "home = /x\n" << line << "\n";
    }
    std::string refusal(const std::string& wanted, const char* virtual_env) {
        try {
            return "took " + choose_executable(wanted, virtual_env);
        } catch (const std::runtime_error& error) {
            return error.what();
        }
    }

    fs::path root = fs::temp_directory_path() / ("asioserve-environment-" + std::to_string(::getpid()));
};

TEST_F(Environment, IsTheActiveOne) {
    make_python();
    configure("version = " + ours + ".9");
    EXPECT_EQ(choose_executable("", root.c_str()), root / "bin" / "python");
}

TEST_F(Environment, IsTheOneThatIsAskedForBeforeTheActiveOne) {
    make_python();
    configure("version_info = " + ours + ".0.final.0");
    EXPECT_EQ(choose_executable(root, "/no/such/folder"), root / "bin" / "python");
    EXPECT_EQ(choose_executable(root / "bin" / "python", nullptr), root / "bin" / "python");
}

TEST_F(Environment, OfAnotherMinorVersionIsRefusedWithWhatToDo) {
    make_python();
    for (const std::string& key : {"version = " + other + ".0", "version_info=" + other + ".0.final.0"}) {
        configure(key);
        const std::string why = refusal("", root.c_str());
        EXPECT_THAT(why, HasSubstr(root.string() + " is of Python " + other));
        EXPECT_THAT(why, HasSubstr("python" + ours + " -m venv"));
    }
}

TEST_F(Environment, WithoutAVersionIsJudgedByItsInterpretersName) {
    make_python("python" + other);
    fs::create_symlink("python" + other, root / "bin" / "python");
    configure("include-system-site-packages = false");
    EXPECT_THAT(refusal("", root.c_str()), HasSubstr("is of Python " + other));
}

TEST_F(Environment, ThatIsGoneIsToldApart) {
    EXPECT_THAT(refusal("", root.c_str()),
                HasSubstr("VIRTUAL_ENV names " + root.string() + ", which has no bin/python"));
    EXPECT_THAT(refusal(root / "nothing", nullptr), HasSubstr("no executable file"));
    EXPECT_THAT(refusal("no-such-python-anywhere", nullptr), HasSubstr("no no-such-python-anywhere on PATH"));
}

TEST_F(Environment, IsNotAScriptThatOnlyLooksLikeAPython) {
    make_python();
    EXPECT_THAT(refusal(root / "bin" / "python", nullptr), HasSubstr("is not a Python " + ours));
}

TEST_F(Environment, IsTheBuildsOwnByDefault) {
    EXPECT_EQ(choose_executable("", nullptr), TEST_PYTHON);
    EXPECT_EQ(choose_executable("", ""), TEST_PYTHON);
}

TEST_F(Environment, FindsTheInterpreterOnPath) {
    EXPECT_EQ(fs::path(choose_executable(TEST_PYTHON, nullptr)), fs::path(TEST_PYTHON));
}

TEST(Packages, AreWhereTheBuildPutThem) {
    EXPECT_TRUE(fs::exists(fs::path(package_folder()) / "asioserve" / "_life.py"));
}

}  // namespace
}  // namespace asioserve::py
