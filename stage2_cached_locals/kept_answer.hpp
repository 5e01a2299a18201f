// An answer that was made on the loop's thread, as bytes, until the I/O thread takes it.
//
// Threads: one at a time; it crosses together with its request. No GIL.
#pragma once

#include <string>
#include <vector>

#include "common/runner/exchange.hpp"

namespace stage {

class KeptAnswer {
  public:
    /// Copies everything that the view shows.
    void keep(const asioserve::AnswerView& answer) {
        status_ = answer.status;
        there_ = true;
        text_.clear();
        std::size_t size = answer.content_type.size() + answer.body.size();
        for (const asioserve::Header& h : answer.headers) size += h.name.size() + h.value.size();
        text_.reserve(size);
        content_type_ = add(answer.content_type);
        body_ = add(answer.body);
        fields_.clear();
        for (const asioserve::Header& h : answer.headers) fields_.push_back({add(h.name), add(h.value)});
    }
    /// Answers, if there is something to answer with.
    void give(asioserve::Exchange& x) {
        if (!there_) return;
        headers_.clear();
        for (const Field& f : fields_) headers_.push_back({view(f.name), view(f.value)});
        x.answer({.status = status_,
                  .content_type = view(content_type_),
                  .body = view(body_),
                  .headers = headers_});
    }
    /// Empty again; the memory is kept for the next request unless it was an unusual one.
    void clear() noexcept {
        there_ = false;
        if (text_.capacity() > kept_bytes) std::string().swap(text_);
    }

  private:
    static constexpr std::size_t kept_bytes = 16 * 1024;
    struct Part {
        std::size_t at, size;
    };
    struct Field {
        Part name, value;
    };
    Part add(std::string_view part) {
        text_.append(part);
        return {text_.size() - part.size(), part.size()};
    }
    std::string_view view(Part p) const noexcept { return std::string_view(text_).substr(p.at, p.size); }

    bool there_ = false;
    int status_ = 0;
    Part content_type_{}, body_{};
    std::string text_;
    std::vector<Field> fields_;
    std::vector<asioserve::Header> headers_;
};

}  // namespace stage
