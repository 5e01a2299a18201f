#include "common/python/environment.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "common/python/python.hpp"

namespace asioserve::py {

namespace fs = std::filesystem;

namespace {

const std::string our_version = std::to_string(PY_MAJOR_VERSION) + "." + std::to_string(PY_MINOR_VERSION);

bool is_file(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored);
}

std::string trimmed(const std::string& text) {
    const char* blank = " \t\r";
    auto first = text.find_first_not_of(blank);
    if (first == std::string::npos) return {};
    return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

/// "3.12" of "3.12.1", "3.12.1.final.0"; empty where it does not look like a version.
std::string minor_of(const std::string& version) {
    auto dot = version.find('.');
    if (dot == std::string::npos || dot == 0) return {};
    auto end = version.find_first_not_of("0123456789", dot + 1);
    return version.substr(0, end);
}

/// The version in a pyvenv.cfg: `version` is venv's spelling, `version_info` that of virtualenv and uv.
std::string configured_version(const fs::path& config) {
    std::ifstream file(config);
    for (std::string line; std::getline(file, line);) {
        auto equals = line.find('=');
        if (equals == std::string::npos) continue;
        std::string key = trimmed(line.substr(0, equals));
        if (key == "version" || key == "version_info") return minor_of(trimmed(line.substr(equals + 1)));
    }
    return {};
}

/// The version in the name of what the links lead to: "3.11" of /usr/bin/python3.11.
std::string version_by_name(const fs::path& executable) {
    std::error_code ignored;
    std::string name = fs::canonical(executable, ignored).filename();
    return name.starts_with("python") ? minor_of(name.substr(6)) : std::string();
}

[[noreturn]] void refuse(const std::string& what, const std::string& version) {
    throw std::runtime_error(what + " is of Python " + version + ", but this program was built for Python " +
                             our_version + ": use an environment made by `python" + our_version +
                             " -m venv`, or build with --python for " + version);
}

std::string checked(const fs::path& executable, const std::string& named_by) {
    std::error_code ignored;
    if (!is_file(executable) || ::access(executable.c_str(), X_OK) != 0)
        throw std::runtime_error(named_by + " leads to " + executable.string() +
                                 ", which is no executable file: name a Python " + our_version +
                                 " or the folder of a virtual environment");
    const fs::path folder = fs::absolute(executable, ignored).parent_path();
    for (const fs::path& config : {folder / "pyvenv.cfg", folder.parent_path() / "pyvenv.cfg"}) {
        if (!is_file(config)) continue;
        std::string version = configured_version(config);
        if (version.empty()) version = version_by_name(executable);
        if (!version.empty() && version != our_version)
            refuse("the virtual environment " + config.parent_path().string(), version);
        return (folder / executable.filename()).string();
    }
    std::string version = version_by_name(executable);
    if (!version.empty() && version != our_version) refuse(executable.string(), version);
    // No virtual environment: then its standard library has to be where CPython looks for it. This also finds
    // the scripts of version managers that only look like an interpreter.
    const fs::path real = fs::canonical(executable, ignored);
    for (const fs::path& prefix : {folder.parent_path(), real.parent_path().parent_path()})
        if (is_file(prefix / "lib" / ("python" + our_version) / "os.py"))
            return (folder / executable.filename()).string();
    throw std::runtime_error(named_by + " leads to " + executable.string() + ", which is not a Python " +
                             our_version + " with its standard library: name the interpreter itself");
}

fs::path on_path(const std::string& name) {
    const char* path = std::getenv("PATH");
    std::string folders = path ? path : "";
    for (std::size_t begin = 0; begin <= folders.size();) {
        std::size_t end = folders.find(':', begin);
        if (end == std::string::npos) end = folders.size();
        fs::path candidate = fs::path(folders.substr(begin, end - begin)) / name;
        if (is_file(candidate) && ::access(candidate.c_str(), X_OK) == 0) return candidate;
        begin = end + 1;
    }
    throw std::runtime_error("--python: there is no " + name + " on PATH");
}

}  // namespace

std::string choose_executable(const std::string& wanted, const char* virtual_env) {
    std::error_code ignored;
    if (!wanted.empty()) {
        fs::path path = wanted;
        if (wanted.find('/') == std::string::npos && !fs::exists(path, ignored)) path = on_path(wanted);
        if (fs::is_directory(path, ignored)) path = path / "bin" / "python";
        return checked(path, "--python");
    }
    if (virtual_env && *virtual_env) {
        fs::path python = fs::path(virtual_env) / "bin" / "python";
        if (!is_file(python))
            throw std::runtime_error("VIRTUAL_ENV names " + std::string(virtual_env) +
                                     ", which has no bin/python: activate another environment, or unset it");
        return checked(python, "VIRTUAL_ENV");
    }
    // The machine that runs this need not be the one that built it.
    return is_file(ASIOSERVE_PYTHON_EXECUTABLE) ? ASIOSERVE_PYTHON_EXECUTABLE : std::string();
}

std::string package_folder() {
    std::error_code ignored;
    const fs::path beside = fs::read_symlink("/proc/self/exe", ignored).parent_path();
    for (const fs::path& folder : {fs::path(ASIOSERVE_PYTHON_PATH), beside.parent_path() / "python",
                                   beside.parent_path() / "share" / "asioserve" / "python"})
        if (is_file(folder / "asioserve" / "__init__.py")) return folder.string();
    throw std::runtime_error(
        "the Python package asioserve is neither in " ASIOSERVE_PYTHON_PATH " nor beside " + beside.string());
}

}  // namespace asioserve::py
