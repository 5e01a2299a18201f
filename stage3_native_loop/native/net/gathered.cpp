#include "stage3_native_loop/native/net/gathered.hpp"

#include "stage3_native_loop/native/net/stream.hpp"

namespace asioloop {

void Gathered::add(Stream& stream) {
    if (streams_.empty()) since_ = tick();
    streams_.push_back({asioserve::py::Ref::borrow(stream.self()), &stream});
}

bool Gathered::flush() {
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    bool ok = true;
    // By index: who is told that a write has failed may write to somebody else.
    for (std::size_t i = 0; i < streams_.size(); ++i) {
        if (streams_[i].stream->flush()) continue;
        if (type) {
            PyErr_WriteUnraisable(streams_[i].keep.get());
        } else {
            PyErr_Fetch(&type, &value, &traceback);
            ok = false;
        }
    }
    std::vector<Waiting> done;  // a transport that goes runs code, which may write
    done.swap(streams_);
    done.clear();
    if (streams_.empty()) streams_.swap(done);
    if (type) PyErr_Restore(type, value, traceback);
    return ok;
}

void Gathered::forget() {
    open_ = false;
    for (const Waiting& one : streams_) one.stream->forget_gathered();
}

}  // namespace asioloop
