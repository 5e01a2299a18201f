// What is answered where no route of the app takes a request: 404, 405, the other spelling of a slash,
// OPTIONS.
//
// Threads: any; the router is constant while serving. No Python.
#pragma once

#include <string>

#include "common/app/note.hpp"
#include "common/app/router.hpp"
#include "common/runner/exchange.hpp"

namespace asioserve::app {

/// Finds the route, or why there is none. Writes the captures into the note.
void match(const Plan& plan, Exchange& x, Note& note);

/// The Allow of a 405: the methods of the first route that has the path, as Starlette says it.
std::string allow_of_405(const Plan& plan, const RequestHead& head);
/// The Allow of an automatic OPTIONS: all that the path knows.
std::string allow_of_options(const Plan& plan, const RequestHead& head);
/// Where the path with (or without) its slash at the end is: absolute, as Starlette says it.
std::string redirect_location(const Exchange& x);

/// Answers natively: 404, 405, 307 or the Allow of OPTIONS.
void answer_unmatched(const Plan& plan, Exchange& x, Verdict verdict, AnswerSink answer);

}  // namespace asioserve::app
