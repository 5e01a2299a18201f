#include "tests/fakes/fake_handler.hpp"

namespace asioserve::fakes {

Step FixedHandler::start(Exchange&, AnswerSink answer) {
    answer({.status = 200, .content_type = "application/json", .body = body_});
    return {};
}

Step EchoHandler::start(Exchange& x, AnswerSink answer) {
    answer({.status = 200, .content_type = "application/octet-stream", .body = x.body()});
    return {};
}

Step ScriptHandler::start(Exchange& x, AnswerSink answer) {
    if (on_start) on_start(x, answer);
    return {};
}

}  // namespace asioserve::fakes
