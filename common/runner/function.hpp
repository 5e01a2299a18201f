// Two callables that the standard library of C++20 lacks.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace asioserve {

template <class Signature>
class FunctionRef;

/// A borrowed callable: valid only for the call that it is passed to. Two words, no allocation.
template <class R, class... A>
class FunctionRef<R(A...)> {
  public:
    /// Borrows `f`, which must outlive the call.
    // NOLINTBEGIN(google-explicit-constructor,bugprone-forwarding-reference-overload): a lambda is passed as
    // it is, and the constraint keeps copies out
    template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>) FunctionRef(F&& f)
    noexcept
        : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
          call_([](void* o, A... a) -> R {
              return (*static_cast<std::remove_reference_t<F>*>(o))(std::forward<A>(a)...);
          }) {}
    // NOLINTEND(google-explicit-constructor,bugprone-forwarding-reference-overload)
    /// Calls what was borrowed.
    R operator()(A... a) const { return call_(object_, std::forward<A>(a)...); }

  private:
    void* object_;
    R (*call_)(void*, A...);
};

/// Something to be run once, on another thread or later. Owns what it captures; moves only; one allocation.
class Job {
  public:
    Job() = default;
    /// Takes over a callable.
    // NOLINTBEGIN(google-explicit-constructor,bugprone-forwarding-reference-overload): a lambda is passed as
    // it is, and the constraint keeps moves out
    template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Job>) Job(F&& f)
        : body_(std::make_unique<Model<std::remove_cvref_t<F>>>(std::forward<F>(f))) {}
    // NOLINTEND(google-explicit-constructor,bugprone-forwarding-reference-overload)
    /// Runs it. Once: it is empty, and what it owned is gone, afterwards.
    void operator()() { std::exchange(body_, nullptr)->run(); }
    /// Whether there is something to run.
    explicit operator bool() const noexcept { return body_ != nullptr; }

  private:
    struct Concept {
        virtual ~Concept() = default;
        virtual void run() = 0;
    };
    template <class F>
    struct Model final : Concept {
        explicit Model(F f) : f_(std::move(f)) {}
        void run() override { f_(); }
        F f_;
    };
    std::unique_ptr<Concept> body_;
};

}  // namespace asioserve
