// The rows of suite `links` on NNG 1.5 (Debian's libnng-dev): pair sockets, blocking calls; unix is its transport ipc under
// an abstract name. Buffers hold 4096 messages, 16 large ones; beyond it the sender waits.
// Where the path is cut: pair, in the row "pub" pub and sub, and in the row "req" req and rep, which sends the next message
// when the last was answered, and the last again after 200 ms. Else sends do not wait; dialled again after 10 ms in place of 100.
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include <cstring>

#include "links/echo.hpp"
#include "links/outage.hpp"

namespace {

using links::row;

void must(int failed, const char* what) { bench::require(failed == 0, what); }

class nng_wire final : public links::wire {
public:
    explicit nng_wire(const row& of) : size_{of.size} {
        must(nng_pair0_open(&socket_), "a socket is made");
        const int buffer = of.size > 1024 ? 16 : 4096;
        must(nng_socket_set_size(socket_, NNG_OPT_RECVMAXSZ, 0), "messages may be large");
        must(nng_socket_set_int(socket_, NNG_OPT_SENDBUF, buffer), "messages may wait to be sent");
        must(nng_socket_set_int(socket_, NNG_OPT_RECVBUF, buffer), "messages may wait to be received");
    }
    ~nng_wire() override {
        if (message_) nng_msg_free(message_);
        nng_close(socket_);
    }
    nng_wire(const nng_wire&) = delete;
    nng_wire& operator=(const nng_wire&) = delete;

    // Returns where the other side has to dial.
    std::string listen(const row& of) {
        const bool tcp = of.kind == "tcp";
        const std::string where = tcp ? "tcp://127.0.0.1:0" : "abstract://bench-" + std::to_string(getpid());
        nng_listener listener{};
        must(nng_listen(socket_, where.c_str(), &listener, 0), "it listens");
        if (!tcp) return where;
        int port = 0;
        must(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port), "it has a port");
        return "tcp://127.0.0.1:" + std::to_string(port);
    }
    void dial(const std::string& where) { must(nng_dial(socket_, where.c_str(), nullptr, 0), "it connects"); }

    void send(std::span<const std::byte> message) override {
        nng_msg* copy = nullptr;
        must(nng_msg_alloc(&copy, message.size()), "there is memory");
        std::memcpy(nng_msg_body(copy), message.data(), message.size());
        must(nng_sendmsg(socket_, copy, 0), "a message goes out");
    }
    std::span<const std::byte> receive() override {
        if (message_) nng_msg_free(message_);
        message_ = nullptr;
        must(nng_recvmsg(socket_, &message_, 0), "a message comes");
        bench::require(nng_msg_len(message_) == size_, "it has the row's size");
        return {static_cast<const std::byte*>(nng_msg_body(message_)), size_};
    }

private:
    std::size_t size_;
    nng_socket socket_{};
    nng_msg* message_ = nullptr;
};

void play(const row& of, const bench::reporter& out) {
    const links::partner far{of};
    nng_wire near{of};
    near.dial(far.greeting());
    links::play_over(near, of, out, far.id());
}

// ---- a path that is cut

nng_socket outage_socket(const row& of, bool sends) {
    nng_socket opened{};
    if (of.name.ends_with("_pub")) {
        must((sends ? nng_pub0_open : nng_sub0_open)(&opened), "a socket is made");
        if (!sends) must(nng_socket_set(opened, NNG_OPT_SUB_SUBSCRIBE, "", 0), "it subscribes");
    } else if (of.name.ends_with("_req")) {
        must((sends ? nng_req0_open : nng_rep0_open)(&opened), "a socket is made");
        if (sends) must(nng_socket_set_ms(opened, NNG_OPT_REQ_RESENDTIME, 200), "it sends again");
    } else {
        must(nng_pair0_open(&opened), "a socket is made");
    }
    if (sends && !of.name.ends_with("_req"))
        must(nng_socket_set_int(opened, NNG_OPT_SENDBUF, 1000), "it buffers");
    return opened;
}

void play_outage(const row& of, const bench::reporter& out) {
    const links::cut_path way;
    const links::partner far{of};
    const nng_socket near = outage_socket(of, true);
    must(nng_socket_set_ms(near, NNG_OPT_RECONNMINT, 10), "it dials again");
    must(nng_socket_set_ms(near, NNG_OPT_RECONNMAXT, 10), "it dials again");
    must(nng_dial(near, ("tcp://127.0.0.1:" + way.in_front_of(far.greeting())).c_str(), nullptr, 0),
         "it connects");
    const bool asks = of.name.ends_with("_req");
    links::play_outage(of, out, far, way, [&](std::span<const std::byte> message) {
        nng_msg* one = nullptr;
        must(nng_msg_alloc(&one, message.size()), "there is memory");
        std::memcpy(nng_msg_body(one), message.data(), message.size());
        if (nng_sendmsg(near, one, asks ? 0 : NNG_FLAG_NONBLOCK) != 0) {
            nng_msg_free(one);
            return false;
        }
        if (!asks) return true;
        const bool answered = nng_recvmsg(near, &one, 0) == 0;
        if (answered) nng_msg_free(one);
        return answered;
    });
    nng_close(near);
}

void outage_partner(const row& of) {
    const nng_socket far = outage_socket(of, false);
    nng_listener listener{};
    must(nng_listen(far, "tcp://127.0.0.1:0", &listener, 0), "it listens");
    int port = 0;
    must(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port), "it has a port");
    links::arrivals seen;
    std::thread receiver{[&] {
        for (nng_msg* one = nullptr; nng_recvmsg(far, &one, 0) == 0;) {
            seen.came(nng_msg_body(one));
            if (!of.name.ends_with("_req") || nng_sendmsg(far, one, 0) != 0) nng_msg_free(one);
        }
    }};
    links::greet(std::to_string(port));
    seen.tell_until_released();
    std::_Exit(0);  // the receiver waits for another message
}

void as_partner(const row& of, std::span<char* const>) {
    if (of.what == links::work::outage) return outage_partner(of);
    nng_wire far{of};
    links::greet(far.listen(of));
    links::answer_until_end(far, of.size);
    links::wait_until_released();  // closing throws away what is not yet sent
}

std::vector<row> all_rows() {
    std::vector<row> rows;
    for (const char* kind : {"unix", "tcp"}) links::add_rows(rows, kind, false, &play);
    links::add_outage_rows(rows, &play_outage, {"pub", "req"});
    return rows;
}

}  // namespace

int main(int argc, char** argv) { return links::main(argc, argv, all_rows(), &as_partner); }
