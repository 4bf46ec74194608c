// The rows of suite `links` on ZeroMQ 4.3 (Debian's libzmq3-dev): PAIR sockets, one I/O thread each, blocking calls; unix
// is its transport ipc. The high-water mark is 10,000 messages, 64 for large ones; beyond it the sender waits.
// Where the path is cut: PUSH and PULL, in the row "pub" PUB and SUB; sends that do not wait, with ZeroMQ's own marks of 1000
// messages; dialled again after 10 ms in place of 100.
#include <zmq.h>

#include "links/echo.hpp"
#include "links/outage.hpp"

namespace {

using links::row;

class zmq_wire final : public links::wire {
public:
    // Binds to `where`, or connects to it.
    zmq_wire(const row& of, const std::string& where, bool binds) : size_{of.size} {
        const int mark = of.size > 1024 ? 64 : 10'000;
        const int linger_ms = 1000;
        bench::require(zmq_setsockopt(socket_, ZMQ_SNDHWM, &mark, sizeof mark) == 0 &&
                           zmq_setsockopt(socket_, ZMQ_RCVHWM, &mark, sizeof mark) == 0 &&
                           zmq_setsockopt(socket_, ZMQ_LINGER, &linger_ms, sizeof linger_ms) == 0,
                       "options are set");
        bench::require((binds ? zmq_bind : zmq_connect)(socket_, where.c_str()) == 0, "it binds or connects");
        zmq_msg_init(&message_);
    }
    ~zmq_wire() override {
        zmq_msg_close(&message_);
        zmq_close(socket_);
        zmq_ctx_term(context_);
    }
    zmq_wire(const zmq_wire&) = delete;
    zmq_wire& operator=(const zmq_wire&) = delete;

    [[nodiscard]] std::string where() const {
        std::array<char, 256> text{};
        std::size_t length = text.size();
        bench::require(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, text.data(), &length) == 0, "it is bound");
        return text.data();
    }
    void send(std::span<const std::byte> message) override {
        bench::require(zmq_send(socket_, message.data(), message.size(), 0) >= 0, "a message goes out");
    }
    std::span<const std::byte> receive() override {
        bench::require(zmq_msg_recv(&message_, socket_, 0) == static_cast<int>(size_), "a message comes");
        return {static_cast<const std::byte*>(zmq_msg_data(&message_)), size_};
    }

private:
    std::size_t size_;
    void* context_ = zmq_ctx_new();
    void* socket_ = zmq_socket(context_, ZMQ_PAIR);
    zmq_msg_t message_{};
};

void play(const row& of, const bench::reporter& out) {
    const links::partner far{of};
    zmq_wire near{of, far.greeting(), false};
    links::play_over(near, of, out, far.id());
}

// ---- a path that is cut

bool publishes(const row& of) { return of.name.ends_with("_pub"); }

// Lives until the process ends.
void* outage_socket(int kind) { return zmq_socket(zmq_ctx_new(), kind); }

void play_outage(const row& of, const bench::reporter& out) {
    const links::cut_path way;
    const links::partner far{of};
    void* const near = outage_socket(publishes(of) ? ZMQ_PUB : ZMQ_PUSH);
    const int again_ms = 10;
    const int linger_ms = 0;
    const std::string where = "tcp://127.0.0.1:" + way.in_front_of(far.greeting());
    bench::require(zmq_setsockopt(near, ZMQ_RECONNECT_IVL, &again_ms, sizeof again_ms) == 0 &&
                       zmq_setsockopt(near, ZMQ_LINGER, &linger_ms, sizeof linger_ms) == 0 &&
                       zmq_connect(near, where.c_str()) == 0,
                   "it connects");
    std::this_thread::sleep_for(
        std::chrono::milliseconds{300});  // a publisher does not know its subscribers yet
    links::play_outage(of, out, far, way, [&](std::span<const std::byte> message) {
        return zmq_send(near, message.data(), message.size(), ZMQ_DONTWAIT) >= 0;
    });
    zmq_close(near);
}

void outage_partner(const row& of) {
    void* const far = outage_socket(publishes(of) ? ZMQ_SUB : ZMQ_PULL);
    if (publishes(of)) zmq_setsockopt(far, ZMQ_SUBSCRIBE, "", 0);
    bench::require(zmq_bind(far, "tcp://127.0.0.1:*") == 0, "it binds");
    std::array<char, 256> where{};
    std::size_t length = where.size();
    bench::require(zmq_getsockopt(far, ZMQ_LAST_ENDPOINT, where.data(), &length) == 0, "it is bound");
    links::arrivals seen;
    std::thread receiver{[&] {
        std::array<std::byte, links::outage_size> message{};
        while (zmq_recv(far, message.data(), message.size(), 0) == static_cast<int>(message.size()))
            seen.came(message.data());
    }};
    const std::string_view name{where.data()};
    links::greet(name.substr(name.rfind(':') + 1));
    seen.tell_until_released();
    std::_Exit(0);  // the receiver waits for another message
}

void as_partner(const row& of, std::span<char* const>) {
    if (of.what == links::work::outage) return outage_partner(of);
    const std::string name =
        of.kind == "tcp" ? "tcp://127.0.0.1:*" : "ipc://@bench-" + std::to_string(getpid());
    zmq_wire far{of, name, true};
    links::greet(far.where());
    links::answer_until_end(far, of.size);
}

std::vector<row> all_rows() {
    std::vector<row> rows;
    for (const char* kind : {"unix", "tcp"}) links::add_rows(rows, kind, false, &play);
    links::add_outage_rows(rows, &play_outage, {"pub"});
    return rows;
}

}  // namespace

int main(int argc, char** argv) { return links::main(argc, argv, all_rows(), &as_partner); }
