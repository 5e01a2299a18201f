// The Python type `_asioserve.Request`: what asioserve.Request wraps (common/asioserve/_request.py lists it).
//
// Threads: everything needs the GIL. Attributes may be read on any thread, as the request does not change.
#pragma once

#include "common/python/ref.hpp"

#include <memory>

#include "common/app/channel.hpp"
#include "common/app/note.hpp"
#include "common/app/request_body.hpp"
#include "common/app/shared.hpp"

namespace asioserve::app {

/// What such an object holds: the exchange, for as long as Python holds the object, and its streams.
class NativeRequest final : public Channel::Owner, public ChunkSource {
  public:
    /// Shares the exchange for as long as it lives.
    NativeRequest(std::shared_ptr<Shared> shared, Exchange& x);
    ~NativeRequest();
    NativeRequest(const NativeRequest&) = delete;
    NativeRequest& operator=(const NativeRequest&) = delete;

    /// The one in a Python object of the type.
    static NativeRequest& of(PyObject* object) noexcept;

    /// What it stands for.
    Exchange& exchange() const noexcept { return *x_; }
    /// What all requests of an app share.
    const Shared& shared() const noexcept { return *shared_; }
    /// The body as Python reads it.
    RequestBody& body() noexcept { return body_; }
    /// Made when it is needed first. Null once the request is over.
    Channel* channel() ASIOSERVE_REQUIRES(py::gil);
    /// Whether the peer has left, as far as is known.
    bool is_disconnected() ASIOSERVE_REQUIRES(py::gil);
    /// The answer is given: whoever still holds the object can read what came, and no more.
    void over() noexcept ASIOSERVE_REQUIRES(py::gil);
    /// Whether the exchange is answered, so that nothing may be asked of it any more.
    bool is_over() const noexcept { return over_; }

    /// A streamed answer begins, in the current task: it is cancelled when the peer leaves and no write
    /// waits.
    void streams() ASIOSERVE_REQUIRES(py::gil);
    /// A future for a writer that has to wait; see Channel::wait_for_credit().
    py::Ref wait_for_credit() ASIOSERVE_REQUIRES(py::gil);

    /// See Channel::Owner.
    void body_came(std::string_view chunk, bool last) override ASIOSERVE_REQUIRES(py::gil);
    /// See Channel::Owner.
    void credit_came() override ASIOSERVE_REQUIRES(py::gil);
    /// See Channel::Owner.
    void broke(Broken why) override ASIOSERVE_REQUIRES(py::gil);
    void ask() override ASIOSERVE_REQUIRES(py::gil);

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg) const;
    /// For tp_clear.
    void clear() noexcept ASIOSERVE_REQUIRES(py::gil);

  private:
    const std::shared_ptr<Shared> shared_;
    const ExchangePtr x_;
    std::shared_ptr<Channel> channel_;
    RequestBody body_;
    py::Ref writer_;  // a future that wait_for_credit() gave
    py::Ref task_;    // what pumps a streamed answer
    bool over_ = false;
    bool listens_ = false;
};

/// Makes the types Request and BodyStream. Throws py::PythonError.
py::Ref make_request_type(PyObject* module) ASIOSERVE_REQUIRES(py::gil);
/// Makes the type of what Request.stream() iterates over. Throws py::PythonError.
py::Ref make_body_stream_type(PyObject* module) ASIOSERVE_REQUIRES(py::gil);

/// A new `_asioserve.Request`; null with an exception set.
py::Ref make_native_request(const std::shared_ptr<Shared>& shared, Exchange& x) ASIOSERVE_REQUIRES(py::gil);

}  // namespace asioserve::app
