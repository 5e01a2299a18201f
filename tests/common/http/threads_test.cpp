// Exchanges whose last reference is dropped on another thread, as runners with a thread for Python do; also
// after the server has gone. Meant for the thread sanitizer.
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/common/http/harness.hpp"

namespace asioserve::test {
namespace {

/// A thread that drops what it is given.
class Dropper {
  public:
    ~Dropper() {
        {
            const std::lock_guard lock(mutex_);
            over_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }
    void give(ExchangePtr x) {
        {
            const std::lock_guard lock(mutex_);
            list_.push_back(std::move(x));
        }
        changed_.notify_one();
    }

  private:
    void run() {
        for (;;) {
            std::vector<ExchangePtr> mine;
            {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [this] { return over_ || !list_.empty(); });
                if (list_.empty()) return;
                mine.swap(list_);
            }
            for (const ExchangePtr& x : mine) {  // the request may be read here
                sum_ += x->head().target.size() + x->head().headers.size() + x->endpoints().peer.size();
            }
        }
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<ExchangePtr> list_;
    bool over_ = false;
    std::size_t sum_ = 0;
    std::thread thread_{[this] { run(); }};
};

class Threads : public Harness {};

TEST_F(Threads, ExchangesMayBeDroppedElsewhere) {
    Dropper dropper;
    handler.on_start = [&](Exchange& x, AnswerSink answer) {
        ExchangePtr keep(x);
        answer({.status = 200, .content_type = {}, .body = "ok"});
        dropper.give(std::move(keep));
    };
    serve();
    std::vector<Client> clients;
    for (int i = 0; i < 8; ++i) clients.push_back(connect());
    for (int round = 0; round < 100; ++round) {
        for (Client& c : clients) c.send(std::string(get_hello) + std::string(get_hello));
        for (Client& c : clients) {
            EXPECT_EQ(c.answer().body, "ok");
            EXPECT_EQ(c.answer().body, "ok");
        }
    }
}

TEST_F(Threads, ExchangesMayOutliveTheServerElsewhere) {
    for (int round = 0; round < 20; ++round) {
        Dropper dropper;
        keep_started();
        serve();
        Client c = connect();
        for (int i = 0; i < 10; ++i) c.send(get_hello);
        until([&] { return started.size() == 10; });
        for (ExchangePtr& x : started) dropper.give(std::move(x));
        started.clear();
        server.reset();
    }
}

}  // namespace
}  // namespace asioserve::test
