#include "common/app/sink.hpp"

#include "common/app/header_list.hpp"
#include "common/app/reply.hpp"
#include "common/python/errors.hpp"

namespace asioserve::app {

namespace {

struct Sink {
    PyObject_HEAD PyObject* request;
    SinkState state;
    bool no_body;  // HEAD, 204, 304: what is written goes nowhere
};

Sink& sink_of(PyObject* o) noexcept {
    return *reinterpret_cast<Sink*>(o);
}

// The channel, or an exception: the state must be `wanted`, and the peer be there.
Channel* open_channel(Sink& sink, SinkState wanted) ASIOSERVE_REQUIRES(py::gil) {
    if (sink.state != wanted) {
        PyErr_SetString(PyExc_RuntimeError, sink.state == SinkState::fresh ? "the answer has not begun"
                                            : wanted == SinkState::fresh   ? "the answer has begun already"
                                            : sink.state == SinkState::finished ? "the answer is finished"
                                                                                : "the request is over");
        return nullptr;
    }
    NativeRequest& request = NativeRequest::of(sink.request);
    Channel* channel = request.channel();
    if (channel == nullptr || !request.shared().plan) {
        PyErr_SetString(PyExc_RuntimeError, "the request is over");
        return nullptr;
    }
    if (channel->broken()) {
        const py::Ref type = request.shared().plan->client_disconnected;
        const py::Ref e = py::Ref::steal(PyObject_CallNoArgs(type.get()));
        if (e) PyErr_SetObject(type.get(), e.get());
        return nullptr;
    }
    return channel;
}

bool no_body_for(const Sink& sink, long status) noexcept {
    const Method method = NativeRequest::of(sink.request).exchange().head().method_id;
    return method == Method::head || has_no_body(static_cast<int>(status));
}

PyObject* sink_wants_body(PyObject* o, PyObject* argument) {
    py::gil.assert_held();
    const long status = PyLong_AsLong(argument);
    if (status == -1 && PyErr_Occurred() != nullptr) return nullptr;
    if (open_channel(sink_of(o), SinkState::fresh) == nullptr) return nullptr;
    return py::new_reference(no_body_for(sink_of(o), status) ? Py_False : Py_True);
}

PyObject* sink_begin(PyObject* o, PyObject* const* args, Py_ssize_t count) {
    py::gil.assert_held();
    Sink& sink = sink_of(o);
    if (count < 2 || count > 3) {
        PyErr_SetString(PyExc_TypeError, "begin(status, headers, content_length=-1)");
        return nullptr;
    }
    const long status = PyLong_AsLong(args[0]);
    if (status == -1 && PyErr_Occurred() != nullptr) return nullptr;
    if (status < 200 || status > 999) {
        PyErr_Format(PyExc_ValueError, "an answer cannot have the status %ld", status);
        return nullptr;
    }
    HeaderList headers;
    if (!headers.add_pairs(args[1])) return nullptr;
    long long length = headers.content_length();
    if (count == 3) {
        const long long given = PyLong_AsLongLong(args[2]);
        if (given == -1 && PyErr_Occurred() != nullptr) return nullptr;
        if (given >= 0) length = given;
    }
    Channel* channel = open_channel(sink, SinkState::fresh);
    if (channel == nullptr) return nullptr;
    sink.state = SinkState::begun;
    sink.no_body = no_body_for(sink, status);
    NativeRequest::of(sink.request).streams();
    channel->begin(static_cast<int>(status), headers.get(), length);
    return py::new_reference(sink.no_body ? Py_False : Py_True);
}

PyObject* sink_write(PyObject* o, PyObject* chunk) {
    py::gil.assert_held();
    Sink& sink = sink_of(o);
    Channel* channel = open_channel(sink, SinkState::begun);
    if (channel == nullptr) return nullptr;
    Py_buffer buffer;
    if (PyObject_GetBuffer(chunk, &buffer, PyBUF_SIMPLE) != 0) return nullptr;
    // An empty chunk would end a chunked answer.
    if (buffer.len > 0 && !sink.no_body)
        channel->write({static_cast<const char*>(buffer.buf), static_cast<std::size_t>(buffer.len)});
    PyBuffer_Release(&buffer);
    if (channel->has_credit()) return py::new_reference(Py_None);
    return NativeRequest::of(sink.request).wait_for_credit().release();
}

PyObject* sink_finish(PyObject* o, PyObject* const* args, Py_ssize_t count) {
    py::gil.assert_held();
    Sink& sink = sink_of(o);
    if (count > 1) {
        PyErr_SetString(PyExc_TypeError, "finish(trailers=None)");
        return nullptr;
    }
    HeaderList trailers;
    if (count == 1 && args[0] != Py_None && !trailers.add_pairs(args[0])) return nullptr;
    Channel* channel = open_channel(sink, SinkState::begun);
    if (channel == nullptr) return nullptr;
    sink.state = SinkState::finished;
    channel->finish(trailers.get());
    return py::new_reference(Py_None);
}

int sink_traverse(PyObject* o, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(sink_of(o).request);
    return 0;
}

void sink_dealloc(PyObject* o) {
    PyObject_GC_UnTrack(o);
    py::clear(sink_of(o).request);
    PyTypeObject* type = Py_TYPE(o);
    type->tp_free(o);
    py::drop(reinterpret_cast<PyObject*>(type));
}

}  // namespace

py::Ref make_sink_type(PyObject* module) {
    static PyMethodDef methods[] = {
        {"wants_body", sink_wants_body, METH_O,
         "wants_body(status): False where an answer has no body (HEAD, 204). Sends nothing."},
        {"begin", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(sink_begin)), METH_FASTCALL,
         "begin(status, headers, content_length=-1): sends the head. False where no body is wanted."},
        {"write", sink_write, METH_O,
         "write(chunk): sends it. What it returns, if not None, is to be awaited."},
        {"finish", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(sink_finish)), METH_FASTCALL,
         "finish(trailers=None): ends the answer."},
        {nullptr, nullptr, 0, nullptr},
    };
    static PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>("Where a streamed answer goes.")},
        {Py_tp_methods, methods},
        {Py_tp_traverse, reinterpret_cast<void*>(sink_traverse)},
        {Py_tp_dealloc, reinterpret_cast<void*>(sink_dealloc)},
        {0, nullptr},
    };
    static PyType_Spec spec = {"_asioserve.Sink", sizeof(Sink), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
                                   Py_TPFLAGS_IMMUTABLETYPE,
                               slots};
    return py::must(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

py::Ref make_sink(const Shared& shared, PyObject* request) {
    auto* type = reinterpret_cast<PyTypeObject*>(shared.types.sink.get());
    py::Ref sink = py::Ref::steal(type->tp_alloc(type, 0));
    if (sink) sink_of(sink.get()).request = py::new_reference(request);
    return sink;
}

SinkState sink_state(PyObject* sink) noexcept {
    return sink_of(sink).state;
}

void close_sink(PyObject* sink) noexcept {
    sink_of(sink).state = SinkState::over;
}

}  // namespace asioserve::app
