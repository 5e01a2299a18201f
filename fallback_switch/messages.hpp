// What a server says through its pipe, and words for the logs.
//
// Threads: none.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace asioserve::fallback {

/// One line of the pipe. In this order, `beat` each second once it is ready.
enum class Message {
    importing,       ///< `importing`: from here on it may be the app that takes time or ends the process
    imported,        ///< `imported`: what goes wrong now is not the app's doing
    proving,         ///< `proving`: the canaries run; no app code until `proved`
    proved,          ///< `proved`
    failed_startup,  ///< `failed startup`: the app's lifespan raised; exit code 3 follows
    ready,           ///< `ready`: it accepts connections
    beat,            ///< `beat`: its loop turns
    leaving,         ///< `leaving`: a handler raised SystemExit or KeyboardInterrupt; its exit code is meant
};

/// Takes the pipe's bytes, gives whole messages. Lines that it does not know are passed over, so that a newer
/// server may say more.
class MessageReader {
  public:
    /// Appends what was read.
    void append(std::string_view bytes);
    /// The next message, if a whole one is there.
    std::optional<Message> next();

  private:
    std::string rest_;
};

/// "says that it has proved itself", or what else it says.
std::string_view describe(Message message) noexcept;
/// "exited with code 1", "was killed by signal 6 (Aborted)" for a status as waitpid gives it.
std::string describe_exit(int wait_status);
/// The code that a shell would show for it: the exit code, or 128 and the signal's number.
int exit_code_of(int wait_status);

}  // namespace asioserve::fallback
