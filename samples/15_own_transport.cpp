// 15_own_transport: a kind of transport of your own, in one file: what it has to implement, and how it becomes known.
//
// Nodes need bytes, in order, there and back; framing, handshake, retries and routes stand above that and are the same for
// every kind. This one joins nodes of one process by socket pairs. A serial line, or a pair of pipes to a child process, is
// the same `line` over another descriptor: only how two sides find each other differs.
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <coppice/coppice.hpp>
#include <coppice/transport.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using stream_socket = asio::local::stream_protocol::socket;

// ---------------------------------------------------------------- the bytes

// [line]
// What stands behind a link. Its handlers share it, so that one that comes late finds it still there. All of it runs on the
// reactor's thread; no event is told from within a call of the owner's.
class line : public std::enable_shared_from_this<line> {
public:
    explicit line(stream_socket socket) : socket_{std::move(socket)} { socket_.non_blocking(true); }

    void start(link_events& owner) {
        owner_ = &owner;
        read();
    }

    // Room behind what is committed. When there is too little, what is unsent moves to the front, to a place that keeps the
    // rest as aligned as it was.
    std::span<std::byte> reserve(std::size_t least) {
        if (out_.size() - committed_ < least) {
            const std::size_t front = sent_ % 8;
            std::memmove(out_.data() + front, out_.data() + sent_, committed_ - sent_);
            committed_ -= sent_ - front;
            sent_ = front;
        }
        if (closed_ || out_.size() - committed_ < least) {
            owes_room_ = true;  // writable() follows
            flush();
            return {};
        }
        return {out_.data() + committed_, out_.size() - committed_};
    }
    void commit(std::size_t size) { committed_ += size; }
    std::size_t unsent() const { return committed_ - sent_; }

    // Sends what the socket takes now, and the rest when it takes more.
    void flush() {
        if (waits_ || !socket_.is_open()) return;
        boost::system::error_code failure;
        while (sent_ != committed_ && !failure)
            sent_ += socket_.write_some(asio::buffer(out_.data() + sent_, committed_ - sent_), failure);
        // Any other failure is found by read(), after what the peer had sent before.
        if (failure && failure != asio::error::would_block) committed_ = sent_;
        if (sent_ == committed_ && !owes_room_) return;
        waits_ = true;
        socket_.async_wait(stream_socket::wait_write, [self = shared_from_this()](auto stopped) {
            self->waits_ = false;
            if (!stopped) self->write_ready();
        });
    }

    // Once. What was flushed before still goes out.
    void close() {
        closed_ = true;
        owner_ = nullptr;
        flush();
        if (sent_ == committed_) end();
    }

private:
    void write_ready() {
        const bool told = std::exchange(owes_room_, false);
        flush();
        if (closed_ && sent_ == committed_) return end();
        if (!told || !owner_) return;
        if (unsent() <= out_.size() / 2) owner_->writable();
        else owes_room_ = true;
    }

    void read() {
        socket_.async_read_some(asio::buffer(in_.data() + filled_, in_.size() - filled_),
                                [self = shared_from_this()](auto failure, std::size_t size) {
                                    if (self->owner_) self->show(failure, size);
                                });
    }

    // The owner says how much it could use; it sees the rest again, with what follows.
    void show(const boost::system::error_code& failure, std::size_t size) {
        if (failure) return fail({errc::closed, failure.message()});
        filled_ += size;
        const std::size_t used = owner_->received({in_.data(), filled_});
        if (!owner_) return;  // it closed the link in there
        std::memmove(in_.data(), in_.data() + used, filled_ - used);
        filled_ -= used;
        if (filled_ == in_.size()) return fail({errc::bad_message, "a frame larger than the buffer"});
        read();
    }

    void fail(error why) {
        link_events* owner = std::exchange(owner_, nullptr);
        end();
        owner->closed(std::move(why));
    }
    void end() {
        closed_ = true;
        committed_ = sent_;
        boost::system::error_code ignored;
        socket_.close(ignored);
    }

    stream_socket socket_;
    link_events* owner_ = nullptr;           // from start() to the end
    std::vector<std::byte> in_{256 * 1024};  // [ received, not used | free ]
    std::size_t filled_ = 0;
    std::vector<std::byte> out_{128 * 1024};  // [ sent | unsent | free ]
    std::size_t sent_ = 0;
    std::size_t committed_ = 0;
    bool owes_room_ = false;
    bool waits_ = false;
    bool closed_ = false;
};
// [/line]

// [link]
// What the node owns: destroying it ends the line.
class pair_link final : public byte_link {
public:
    explicit pair_link(stream_socket socket) : line_{std::make_shared<line>(std::move(socket))} {
        peer_.by = peer_identity::proof::same_process;
        peer_.same_machine = true;
        peer_.address = "pair";
    }
    ~pair_link() override { line_->close(); }

    void start(link_events& owner) override { line_->start(owner); }
    std::span<std::byte> reserve(std::size_t least) override { return line_->reserve(least); }
    void commit(std::size_t size) override { line_->commit(size); }
    void flush() override { line_->flush(); }
    std::size_t max_reserve() const noexcept override { return 64 * 1024; }
    std::size_t unsent() const noexcept override { return line_->unsent(); }
    void close() noexcept override { line_->close(); }
    const peer_identity& peer() const noexcept override { return peer_; }

private:
    std::shared_ptr<line> line_;
    peer_identity peer_;
};
// [/link]

// ---------------------------------------------------------------- how two sides find each other

// [meeting]
asio::io_context& io(reactor& on) { return *static_cast<asio::io_context*>(on.io_context()); }

// Who listens in this process. Links come from other threads, so what a listener is told goes through its reactor.
struct meeting_place {
    reactor& on;
    accepted_function accepted;
};
std::mutex places_mutex;
std::map<std::string, std::shared_ptr<meeting_place>> places;

class pair_listener final : public listener {
public:
    explicit pair_listener(endpoint where) : where_{std::move(where)} {}
    ~pair_listener() override {
        const std::lock_guard lock{places_mutex};
        places.erase(where_.host);
    }
    const endpoint& where() const noexcept override { return where_; }

private:
    endpoint where_;
};

class pair_attempt final : public attempt {
public:
    explicit pair_attempt(std::shared_ptr<connected_function> done) : done_{std::move(done)} {}
    ~pair_attempt() override { *done_ = nullptr; }  // given up: nobody is called any more

private:
    std::shared_ptr<connected_function> done_;
};
// [/meeting]

// [kind]
class pair_transport final : public transport {
public:
    std::string_view scheme() const noexcept override { return "pair"; }

    result<std::unique_ptr<listener>> listen(reactor& on, const endpoint& where,
                                             accepted_function accepted) const override {
        if (auto known = where.only({}); !known) return known.error();  // a misspelt option is an error
        const std::lock_guard lock{places_mutex};
        auto place = std::make_shared<meeting_place>(on, std::move(accepted));
        if (!places.emplace(where.host, std::move(place)).second)
            return error{errc::name_taken, "somebody listens at " + where.to_string()};
        return std::unique_ptr<listener>{std::make_unique<pair_listener>(where)};
    }

    result<std::unique_ptr<attempt>> connect(reactor& on, const endpoint& where,
                                             connected_function done) const override {
        if (auto known = where.only({}); !known) return known.error();
        auto told = std::make_shared<connected_function>(std::move(done));
        on.post([&on, name = where.host, told] {  // `done` may not be called within connect()
            if (const auto call = std::exchange(*told, nullptr)) call(meet(on, name));
        });
        return std::unique_ptr<attempt>{std::make_unique<pair_attempt>(std::move(told))};
    }

private:
    static result<std::unique_ptr<byte_link>> meet(reactor& on, const std::string& name) {
        const std::lock_guard lock{places_mutex};
        const auto place = places.find(name);
        if (place == places.end()) return error{errc::unreachable, "nobody listens at pair://" + name};
        stream_socket ours{io(on)};
        stream_socket theirs{io(on)};
        boost::system::error_code failure;
        asio::local::connect_pair(ours, theirs, failure);
        if (failure) return error{errc::io, failure.message()};
        // The other end moves to the listener's thread: as a descriptor, which belongs to no io_context.
        struct descriptor {
            int number;
            ~descriptor() {
                if (number >= 0) ::close(number);
            }
        };
        auto end = std::make_shared<descriptor>(theirs.release());
        place->second->on.post([at = std::weak_ptr{place->second}, end] {
            const auto still = at.lock();
            if (!still) return;  // it listens no more
            stream_socket socket{io(still->on), asio::local::stream_protocol{},
                                 std::exchange(end->number, -1)};
            still->accepted(std::make_unique<pair_link>(std::move(socket)));
        });
        return std::unique_ptr<byte_link>{std::make_unique<pair_link>(std::move(ours))};
    }
};
// [/kind]

// ---------------------------------------------------------------- two nodes that use it

struct greet {
    std::string name;
    using reply = std::string;
};
using greeter_protocol = protocol<greet>;

task<> greeter(actor<greeter_protocol> self) {
    while (auto m = co_await self.receive()) m.match([](request<greet> r) { r.reply("hello, " + r->name); });
}

// An actor does not see what leads to another node.
task<> visitor(actor<protocol<>> self) {
    auto found = co_await self.resolve<greeter_protocol>("/upper/greeter");
    if (!found) co_return fmt::print("no greeter: {}\n", found.error());
    for (const char* name : {"line", "world"}) {
        auto answer = co_await self.ask<greet>(*found, 10s, name);
        if (answer) fmt::print("{}\n", *answer);
        else fmt::print("no answer: {}\n", answer.error());
    }
    const std::string much(1'000'000, 'x');
    auto answer = co_await self.ask<greet>(*found, 10s, much);
    if (answer) fmt::print("a greeting of {} bytes\n", answer->size());
}

// [main]
int main() {
    register_transport(std::make_shared<pair_transport>());

    node_options above;
    above.network.listen = {"pair://meeting"};
    node upper{"upper", above};
    supervisor_spec greeters;
    greeters.add(child("greeter", in_coroutine, greeter));
    if (auto started = upper.start(std::move(greeters)); !started) {
        fmt::print("upper does not start: {}\n", started.error());
        return 1;
    }

    node_options below;
    below.network.parent = "pair://meeting";
    supervisor_spec visitors;
    visitors.add(child("visitor", in_coroutine, visitor).restarts(restart::temporary).significant());
    return node{"lower", below}.run(std::move(visitors));
}
// [/main]
