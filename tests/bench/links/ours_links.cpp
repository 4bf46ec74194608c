// The rows of suite `links` on Coppice: two nodes in two processes, one scheduler each, actor to actor by ref. A message
// is an ordinary struct with a payload of bytes; what goes out passes encoder, flow, router and link as all mail does.
// The kind inproc, for comparison, has both nodes in this process. The rows bare_* are in ours_bare.cpp, those of
// a path that is cut in ours_outage.cpp.
#include "links/ours_links.hpp"

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "coppice/transport/builtin.hpp"
#include "links/outage.hpp"
#include "support/certificates.hpp"

namespace ours {

using namespace coppice;
using namespace std::chrono_literals;

namespace {

// ---- messages

struct finish {};  // of a one-way row: answered when everything before it has come
struct finished {
    std::uint64_t seen = 0;
};

template <class M>
using far_protocol = protocol<M, finish>;
template <class M>
using near_protocol = protocol<M, finished>;

template <std::size_t Size>
std::array<std::byte, Size> payload_for(const small<Size>*, const links::row&) {
    return {};
}
// In ordinary memory, so that it is copied to the other process; or where that one can read it.
blob payload_for(const large*, const links::row& of) {
    std::vector<std::byte> plain(of.size);
    return of.lends ? blob::copy_of(plain) : blob{std::move(plain)};
}

// As a receiver looks at it; of what was not copied only at the ends, as all of it would cost more than to send it.
template <class Bytes>
void look_at(const Bytes& bytes, bool lends) {
    const std::span<const std::byte> all{bytes.data(), bytes.size()};
    if (!lends) return links::touch(all);
    links::touch(all.first(64));
    links::touch(all.last(64));
}

// ---- the far end: returns what comes, or counts it

template <class M>
task<> far_end(actor<far_protocol<M>> self, bool returns, bool lends) {
    std::uint64_t seen = 0;
    while (auto m = co_await self.receive()) {
        const auto from = m.sender().template assume<near_protocol<M>>();
        m.match(
            [&](M& ball) {
                look_at(ball.bytes, lends);
                ++seen;
                if (returns)
                    bench::require(self.template send<M>(from, std::move(ball.bytes)) == errc::ok,
                                   "an answer goes out");
            },
            [&](const finish&) {
                bench::require(self.template send<finished>(from, std::exchange(seen, 0)) == errc::ok,
                               "the count goes out");
            });
    }
}

template <class M>
supervisor_spec far_tree(const links::row& of) {
    supervisor_spec tree;
    tree.add(child("end", in_coroutine, &far_end<M>, of.what == links::work::round_trip, of.lends));
    return tree;
}

// ---- the near end: plays

struct game {
    const links::row* of;
    const bench::reporter* out;
    pid_t partner;
};

template <class M>
task<> play_round_trips(actor<near_protocol<M>> self, ref<far_protocol<M>> to, game g) {
    std::vector<std::uint32_t> samples;
    samples.reserve(std::size_t{1} << 20);
    links::meter used{g.partner};
    const links::duration length{*g.out};
    auto bytes = payload_for(static_cast<M*>(nullptr), *g.of);
    for (const auto how_long : {length.warm_up, length.measured}) {
        samples.clear();
        used.start();
        auto last = bench::clock::now();
        const auto end = last + how_long;
        while (last < end) {
            bench::require(self.template send<M>(to, std::move(bytes)) == errc::ok, "a message goes out");
            auto m = co_await self.receive();
            bench::require(m && m.template is<M>(), "it comes back");
            bytes = std::move(m.template get_if<M>()->bytes);
            links::touch(bytes);
            const auto now = bench::clock::now();
            samples.push_back(static_cast<std::uint32_t>(std::chrono::nanoseconds{now - last}.count()));
            last = now;
        }
        used.stop();
    }
    links::report_round_trips(*g.out, *g.of, std::move(samples), used);
}

template <class M>
task<> play_one_way(actor<near_protocol<M>> self, ref<far_protocol<M>> to, game g) {
    links::meter used{g.partner};
    const links::duration length{*g.out};
    const int burst = g.of->size > 1024 ? 4 : 64;                   // messages between two looks at the clock
    const auto own = payload_for(static_cast<M*>(nullptr), *g.of);  // copied, or shared, into each message
    std::uint64_t sent = 0;
    for (const auto how_long : {length.warm_up, length.measured}) {
        sent = 0;
        used.start();
        const auto end = bench::clock::now() + how_long;
        while (bench::clock::now() < end)
            for (int i = 0; i < burst; ++i, ++sent) {
                const errc went = co_await self.template send_wait<M>(to, own);
                bench::require(went == errc::ok, "a message goes out");
            }
        bench::require(co_await self.template send_wait<finish>(to) == errc::ok, "the last one goes out");
        auto m = co_await self.receive();
        const finished* told = m ? m.template get_if<finished>() : nullptr;
        bench::require(told && told->seen == sent, "all have come");
        used.stop();
    }
    links::report_one_way(*g.out, *g.of, sent, used);
}

template <class M>
task<> near_end(actor<near_protocol<M>> self, game g) {
    auto found = co_await self.template resolve<far_protocol<M>>("/far/end");
    bench::require(found.has_value(), "the far end is found");
    if (g.of->what == links::work::round_trip) co_await play_round_trips<M>(self, *found, g);
    else co_await play_one_way<M>(self, *found, g);
}

// ---- nodes

template <class M>
void play_near(game g, const std::string& where) {
    node_options chosen = options(*g.of);
    chosen.network.parent = where;
    supervisor_spec tree;
    tree.add(child("end", in_coroutine, &near_end<M>, g).restarts(restart::temporary).significant());
    node near{"near", chosen};
    bench::require(near.run(std::move(tree)) == 0, "the near node ends cleanly");
}

template <class M>
std::unique_ptr<node> start_far(const links::row& of, const std::string& where) {
    node_options chosen = options(of);
    chosen.network.listen = {where};
    auto far = std::make_unique<node>("far", chosen);
    const auto started = far->start(far_tree<M>(of));
    bench::require(started.has_value(), "the far node starts");
    return far;
}

std::unique_ptr<node> start_far(const links::row& of, const std::string& where) {
    return with_message_of(of.size, [&]<class M>() { return start_far<M>(of, where); });
}

// Bulk goes through a ring that is twice as large as a core's cache of the second level.
std::string with_ring(const links::row& of, std::string where) {
    if (of.kind == "shm" && of.size > 1024) where += "?ring=2MiB";
    return where;
}

void play(const links::row& of, const bench::reporter& out) {
    const run_directory directory;
    const auto near = [&](game g, const std::string& where) {
        with_message_of(of.size, [&]<class M>() { play_near<M>(g, where); });
    };
    if (of.kind == "inproc") {
        const auto far = start_far(of, "inproc://far");
        return near({&of, &out, 0}, "inproc://far");
    }
    const std::string ending = tls_options(of.kind, directory.path());
    const links::partner far{of, {ending}};
    near({&of, &out, far.id()}, with_ring(of, far.greeting() + ending));
}

void as_partner(const links::row& of, std::span<char* const> arguments) {
    if (of.what == links::work::outage) return outage_partner(of);
    if (of.kind.starts_with("bare_")) return bare_partner(of, arguments);
    const auto far = start_far(of, listening_place(of.kind) + arguments[0]);
    const std::string where = far->listening().at(0);
    links::greet(where.substr(0, where.find('?')));
    links::wait_until_released();
}

std::vector<links::row> all_rows() {
    std::vector<links::row> rows;
    for (const char* kind : {"shm", "unix", "tcp", "tls", "pipe", "inproc"})
        if (find_transport(kind)) links::add_rows(rows, kind, true, &play);
    for (const auto& [name, bytes] :
         {std::pair{"shm_oneway_64k_loan", 64 * 1024}, {"shm_oneway_1m_loan", 1 << 20}})
        rows.push_back(
            {name, "shm", links::work::one_way, static_cast<std::size_t>(bytes), false, &play, true});
    for (const char* kind : {"shm", "unix", "tcp", "tls", "pipe", "inproc"})
        if (find_transport(kind))
            links::add_rows(rows, std::string{"bare_"} + kind, true, &play_bare, largest_bare);
    if (find_transport("tcp")) links::add_outage_rows(rows, &play_outage);
    return rows;
}

}  // namespace

run_directory::run_directory()
    : path_{(std::filesystem::temp_directory_path() / "coppice-bench-XXXXXX").string()} {
    bench::require(mkdtemp(path_.data()) != nullptr, "a directory for sockets is made");
    setenv("COPPICE_RUN_DIR", path_.c_str(), 1);
}
run_directory::~run_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

node_options options(const links::row& of) {
    node_options chosen;
    chosen.schedulers = 1;
    chosen.poll = of.polls ? 50us : 0us;
    chosen.level = level::off;
    chosen.log_terminal = false;
    chosen.handle_signals = false;
    return chosen;
}

std::string listening_place(std::string_view kind) {
    if (kind == "tcp") return "tcp://127.0.0.1:0";
    if (kind == "tls") return "tls://127.0.0.1:0";
    return std::string{kind} + "://far";
}

std::string tls_options(std::string_view kind, const std::string& directory) {
    if (kind != "tls") return {};
    const tests::certificate_authority ca{directory, "ca"};
    return "?" + ca.issue("node", {.name = "node.test", .address = "127.0.0.1"}).options();
}

}  // namespace ours

int main(int argc, char** argv) { return links::main(argc, argv, ours::all_rows(), &ours::as_partner); }
