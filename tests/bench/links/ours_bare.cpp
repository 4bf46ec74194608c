// The rows bare_*: a link of a transport by itself, as transport.hpp declares it, on a reactor that does nothing else. A
// record has as many bytes as a message of ours puts on the link (frame, envelope, payload). What the rows without bare_
// cost beyond these is what flow, router, encoder and actors add.
#include <atomic>
#include <cstring>
#include <memory>
#include <thread>

#include "links/ours_links.hpp"
#include "net/frame.hpp"
#include "support/io_reactor.hpp"
#include "wire/envelope.hpp"

namespace ours {

using namespace coppice;

namespace {

enum class request : std::uint64_t { swallow, answer };

// Bytes that a message of the row puts on the link.
std::size_t record_bytes(const links::row& of) {
    return with_message_of(of.size, []<class M>() {
        const M message{};
        const std::size_t payload = coppice::detail::type_of<M>->wire->size(&message);
        return net::frame_bytes(wire::envelope_bytes + payload, false);
    });
}

// One side of a link: takes whole records, and answers those that ask for it.
class side final : public link_events {
public:
    side(tests::io_reactor& on, std::size_t record, bool polls, bool answers)
        : on_{on}, record_{record}, polls_{polls}, answers_{answers} {}

    void take(std::unique_ptr<byte_link> link) {
        link_ = std::move(link);
        link_->start(*this);
    }
    void close() {
        if (link_) link_->close();
        link_.reset();
    }
    [[nodiscard]] bool ended() const { return ended_; }

    std::size_t received(std::span<const std::byte> bytes) override {
        std::size_t used = 0;
        for (; bytes.size() - used >= record_; used += record_) {
            request what{};
            std::memcpy(&what, bytes.data() + used, sizeof what);
            links::touch(bytes.subspan(used, record_));
            ++seen_;
            if (answers_ && what == request::answer) owed_ = true;
        }
        if (owed_) answer();
        return used;
    }
    void writable() override {
        blocked_ = false;
        if (owed_) answer();
    }
    void closed(error) override { ended_ = true; }

    // Records put into the link's room, as many as fit of `count`. Zero: the link has no room now.
    std::uint64_t put(request what, std::uint64_t count) {
        std::span<std::byte> room = link_->reserve(record_);
        if (room.empty()) {
            blocked_ = true;
            return 0;
        }
        count = std::min<std::uint64_t>(count, room.size() / record_);
        for (std::uint64_t i = 0; i < count; ++i) {
            std::byte* at = room.data() + i * record_;
            std::memcpy(at, &what, sizeof what);
            std::memset(at + sizeof what, 1, record_ - sizeof what);
        }
        link_->commit(count * record_);
        return count;
    }
    void flush() { link_->flush(); }

    // Runs the reactor until there is room again, or until something new has come.
    void wait_for_room() {
        until([this] { return !blocked_; });
    }
    void wait_for_answer() {
        const std::uint64_t before = seen_;
        until([&] { return seen_ != before; });
    }
    template <class Predicate>
    void until(Predicate done) {
        if (polls_)
            while (!done()) on_.run_ready();
        else on_.run_until(done);
    }

private:
    void answer() {
        if (put(request::answer, 1) == 0) return;
        owed_ = false;
        flush();
    }
    tests::io_reactor& on_;
    std::unique_ptr<byte_link> link_;
    std::size_t record_;
    bool polls_;
    bool answers_;
    bool owed_ = false;
    bool blocked_ = false;
    bool ended_ = false;
    std::uint64_t seen_ = 0;
};

std::string plain_kind(const links::row& of) { return of.kind.substr(std::string_view{"bare_"}.size()); }

std::shared_ptr<const transport> kind_of(const std::string& name) {
    auto found = find_transport(name);
    bench::require(found.has_value(), "the kind is known");
    return *found;
}

// Answers until the other side closes. `told` hears where it listens.
void far_side(const links::row& of, const std::string& options,
              const std::function<void(const std::string&)>& told) {
    tests::io_reactor on;
    side far{on, record_bytes(of), of.polls, true};
    bool taken = false;
    const auto where = endpoint::parse(listening_place(plain_kind(of)) + options);
    bench::require(where.has_value(), "the endpoint can be read");
    const auto listening = kind_of(plain_kind(of))->listen(on, *where, [&](std::unique_ptr<byte_link> link) {
        far.take(std::move(link));
        taken = true;
    });
    bench::require(listening.has_value(), "it listens");
    const std::string place = (*listening)->where().to_string();
    told(place.substr(0, place.find('?')));
    on.run_until([&] { return taken; });
    far.until([&] { return far.ended(); });
    far.close();
}

void play_near(const links::row& of, const bench::reporter& out, const std::string& where, pid_t partner) {
    tests::io_reactor on;
    side near{on, record_bytes(of), of.polls, false};
    bool connected = false;
    const auto place = endpoint::parse(where);
    bench::require(place.has_value(), "the endpoint can be read");
    const auto attempt =
        kind_of(plain_kind(of))->connect(on, *place, [&](result<std::unique_ptr<byte_link>> link) {
            bench::require(link.has_value(), "it connects");
            near.take(std::move(*link));
            connected = true;
        });
    bench::require(attempt.has_value(), "it begins to connect");
    on.run_until([&] { return connected; });

    const auto put_all = [&](request what, std::uint64_t count) {
        while (count) {
            const std::uint64_t went = near.put(what, count);
            count -= went;
            if (went) continue;
            near.flush();
            near.wait_for_room();
        }
        near.flush();
    };
    links::meter used{partner};
    const links::duration length{out};
    std::vector<std::uint32_t> samples;
    std::uint64_t sent = 0;
    for (const auto how_long : {length.warm_up, length.measured}) {
        samples.clear();
        used.start();
        const auto end = bench::clock::now() + how_long;
        if (of.what == links::work::round_trip) {
            links::sample_until(end, samples, [&] {
                put_all(request::answer, 1);
                near.wait_for_answer();
            });
        } else {
            constexpr std::uint64_t burst = 64;
            for (sent = 0; bench::clock::now() < end; sent += burst) put_all(request::swallow, burst);
            put_all(request::answer, 1);
            near.wait_for_answer();
        }
        used.stop();
    }
    if (of.what == links::work::round_trip) links::report_round_trips(out, of, std::move(samples), used);
    else links::report_one_way(out, of, sent, used);
    near.close();
    on.run_ready();
}

}  // namespace

void play_bare(const links::row& of, const bench::reporter& out) {
    const run_directory directory;
    if (of.kind == "bare_inproc") {
        std::promise<std::string> place;
        std::thread far{[&] { far_side(of, {}, [&](const std::string& where) { place.set_value(where); }); }};
        play_near(of, out, place.get_future().get(), 0);
        return far.join();
    }
    const std::string options = tls_options(plain_kind(of), directory.path());
    const links::partner far{of, {options}};
    play_near(of, out, far.greeting() + options, far.id());
}

void bare_partner(const links::row& of, std::span<char* const> arguments) {
    far_side(of, arguments[0], [](const std::string& where) { links::greet(where); });
}

}  // namespace ours
