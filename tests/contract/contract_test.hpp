// The fixture of the contract: the same tests for every runner that drives Python.
//
// Threads: a test's body and every run() on the main thread, scenarios on their own.
#pragma once

#include "tests/contract/host.hpp"

#include <gmock/gmock.h>

namespace contract {

class RunnerContract : public testing::Test {
  protected:
    /// Runs a scenario against handlers; the exit code.
    int run(const std::string& source, std::function<void(Host&)> scenario) {
        Host host(runner_under_test(), source);
        return host.run([&] { scenario(host); });
    }
    void TearDown() override { EXPECT_EQ(Record::live(), 0) << "somebody holds an exchange for ever"; }
};

/// What SourceHandler makes of a string.
inline Answer ok(std::string body) {
    return {200, std::move(body), "text/plain", {{"x-first", "1"}, {"x-second", "two"}}, false};
}
/// What SourceHandler makes of an exception.
inline Answer raised(std::string text) {
    return {500, std::move(text), "text/error", {}, false};
}

}  // namespace contract
