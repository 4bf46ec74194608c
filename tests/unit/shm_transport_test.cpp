// Bring-up of shm links: listening, connecting, what is refused, what is left behind, and many clients of one listener.
// A hostile or a strange client is played by hand on a raw socket; a client that dies is a process of its own.
#include <sys/stat.h>

#include <fstream>
#include <map>

#include "../../transport/src/shm/bring_up.hpp"
#include "support/shm_rig.hpp"

namespace {

using namespace coppice;
using namespace coppice::tests;
using namespace std::chrono_literals;

#ifdef COPPICE_SANITIZED
constexpr int crowd = 25;
#else
constexpr int crowd = 100;
#endif

// A server that sends back what comes, on every link.
struct echo_server {
    struct guest final : link_events {
        std::unique_ptr<byte_link> link;
        std::optional<error> end;
        std::size_t received(std::span<const std::byte> bytes) override {
            std::size_t used = 0;
            while (used < bytes.size()) {
                const auto room = link->reserve(1);
                if (room.empty()) break;  // the rest comes again with what follows; the tests send little
                const std::size_t n = std::min(room.size(), bytes.size() - used);
                std::memcpy(room.data(), bytes.data() + used, n);
                link->commit(n);
                used += n;
            }
            link->flush();
            return used;
        }
        void writable() override {}
        void closed(error why) override { end = std::move(why); }
    };
    std::vector<std::unique_ptr<guest>> guests;
    std::unique_ptr<listener> listening;

    echo_server(reactor& on, const std::string& uri) {
        auto made = shm_transport()->listen(on, shm_endpoint(uri), [this](std::unique_ptr<byte_link> link) {
            auto one = std::make_unique<guest>();
            one->link = std::move(link);
            one->link->start(*one);
            guests.push_back(std::move(one));
        });
        EXPECT_TRUE(made) << made.error().what();
        if (made) listening = std::move(*made);
    }
};

// Connects, and runs the reactor until that has come to an end.
result<std::unique_ptr<byte_link>> connected(io_reactor& on, const std::string& uri) {
    std::optional<result<std::unique_ptr<byte_link>>> outcome;
    auto trying =
        shm_transport()->connect(on, shm_endpoint(uri), [&](result<std::unique_ptr<byte_link>> got) {
            outcome.emplace(std::move(got));
        });
    if (!trying) return trying.error();
    EXPECT_FALSE(outcome) << "not within the call";
    on.run_until([&] { return outcome.has_value(); });
    return std::move(*outcome);
}

// A client of the echo server with something to say.
struct talker {
    std::unique_ptr<byte_link> link;
    recorder owner;
    explicit talker(std::unique_ptr<byte_link> l) : link{std::move(l)} { link->start(owner); }
    void say(std::string_view text) {
        said += text;
        EXPECT_TRUE(write_text(*link, text));
    }
    [[nodiscard]] bool answered() const { return text_of(owner.bytes) == said; }
    std::string said;
};

TEST(ShmTransport, ConnectsTalksAndKnowsItsPeer) {
    const own_run_directory here;
    io_reactor on;
    echo_server server{on, "shm://app"};
    EXPECT_EQ(server.listening->where(), shm_endpoint("shm://app"));
    auto link = connected(on, "shm://app?ring=64KiB");
    ASSERT_TRUE(link) << link.error().what();
    const peer_identity& peer = (*link)->peer();
    EXPECT_EQ(peer.by, peer_identity::proof::kernel);
    EXPECT_TRUE(peer.same_machine);
    EXPECT_EQ(peer.uid, ::geteuid());
    EXPECT_EQ(peer.pid, ::getpid());
    EXPECT_EQ((*link)->max_reserve(), 32u * 1024);
    talker one{std::move(*link)};
    one.say("hello");
    on.run_until([&] { return one.answered(); });
    ASSERT_EQ(server.guests.size(), 1u);
    EXPECT_EQ(server.guests[0]->link->peer().uid, ::geteuid());
}

TEST(ShmTransport, IsRefusedWithWordsForWhatAUserGetsWrong) {
    const own_run_directory here;
    io_reactor on;
    for (const char* uri :
         {"shm://", "shm://a%2Fb", "shm://app:17", "shm://app?ring=3000", "shm://app?ring=5KiB",
          "shm://app?ring=128MiB", "shm://app?ring=2KiB", "shm://app?size=1MiB", "shm://app?uid=me"}) {
        auto listening = shm_transport()->listen(on, shm_endpoint(uri), [](auto) {});
        ASSERT_FALSE(listening) << uri;
        EXPECT_EQ(listening.error().code(), errc::invalid_argument)
            << uri << ": " << listening.error().what();
        EXPECT_EQ(connected(on, uri).error().code(), errc::invalid_argument) << uri;
    }
    const auto nobody = connected(on, "shm://nobody");
    ASSERT_FALSE(nobody);
    EXPECT_EQ(nobody.error().code(), errc::unreachable);
    EXPECT_NE(nobody.error().text().find("nobody.sock"), std::string_view::npos) << nobody.error().what();
    EXPECT_EQ(here.files(), std::vector<std::string>{});
}

TEST(ShmTransport, ANameBelongsToOneListenerAndIsFreeAfterIt) {
    const own_run_directory here;
    io_reactor on;
    {
        echo_server first{on, "shm://app"};
        auto second = shm_transport()->listen(on, shm_endpoint("shm://app"), [](auto) {});
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code(), errc::name_taken) << second.error().what();
        EXPECT_TRUE(connected(on, "shm://app")) << "the first still listens";
    }
    EXPECT_EQ(here.files(), std::vector<std::string>{});
    echo_server third{on, "shm://app"};
    EXPECT_TRUE(connected(on, "shm://app"));
}

TEST(ShmTransport, AnAttemptThatIsDestroyedCallsNobody) {
    const own_run_directory here;
    io_reactor on;
    echo_server server{on, "shm://app"};
    bool called = false;
    auto trying = shm_transport()->connect(on, shm_endpoint("shm://app"), [&](auto) { called = true; });
    ASSERT_TRUE(trying);
    trying->reset();
    on.run_for(20ms);
    EXPECT_FALSE(called);
    auto again = shm_transport()->connect(on, shm_endpoint("shm://app"), [&](auto) { called = true; });
    on.run_ready();  // some way into the handshake
    const bool through = called;
    again->reset();
    on.run_for(20ms);
    EXPECT_EQ(called, through);
}

TEST(ShmTransport, TheCallbackMayDestroyTheListenerAndTheAttempt) {
    const own_run_directory here;
    io_reactor on;
    std::unique_ptr<listener> listening;
    std::unique_ptr<byte_link> in;
    listening = shm_transport()
                    ->listen(on, shm_endpoint("shm://app"),
                             [&](std::unique_ptr<byte_link> link) {
                                 in = std::move(link);
                                 listening.reset();
                             })
                    .value();
    std::unique_ptr<attempt> trying;
    std::unique_ptr<byte_link> out;
    trying = shm_transport()
                 ->connect(on, shm_endpoint("shm://app"),
                           [&](result<std::unique_ptr<byte_link>> link) {
                               out = std::move(link.value());
                               trying.reset();
                           })
                 .value();
    on.run_until([&] { return in && out; });
    EXPECT_EQ(here.files(), std::vector<std::string>{}) << "the name has vanished, the link lives on";
    recorder a;
    recorder b;
    out->start(a);
    in->start(b);
    ASSERT_TRUE(write_text(*out, "still here"));
    on.run_until([&] { return text_of(b.bytes) == "still here"; });
}

// ---------------------------------------------------------------- S3: what is refused

// A client by hand, which sends what a test tells it to.
struct strange_client {
    shm::descriptor socket;

    explicit strange_client(const own_run_directory& here) : socket{shm::open_socket().value()} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = here.path("app.sock");
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    // Sends bytes with any number of copies of a descriptor.
    void send(const void* bytes, std::size_t size, int fd, std::size_t copies) const {
        iovec part{const_cast<void*>(bytes), size};
        alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {};
        msghdr out{};
        out.msg_iov = &part;
        out.msg_iovlen = 1;
        if (copies > 0) {
            out.msg_control = control;
            out.msg_controllen = CMSG_SPACE(copies * sizeof(int));
            cmsghdr* c = CMSG_FIRSTHDR(&out);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(copies * sizeof(int));
            for (std::size_t i = 0; i < copies; ++i)
                std::memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof fd);
        }
        EXPECT_EQ(::sendmsg(socket.get(), &out, MSG_NOSIGNAL), static_cast<ssize_t>(size));
    }
    [[nodiscard]] bool told() const {
        pollfd p{socket.get(), POLLIN, 0};
        return ::poll(&p, 1, 0) == 1;
    }
    // The errc in the answer; -1 if the listener closed without one.
    [[nodiscard]] int answer() const {
        shm::answer got;
        if (::recv(socket.get(), &got, sizeof got, 0) != static_cast<ssize_t>(sizeof got)) return -1;
        EXPECT_EQ(got.magic, shm::magic);
        return static_cast<int>(got.code);
    }
};

shm::hello good_hello(std::uint64_t ring = 4096) {
    return {.magic = shm::magic,
            .version = shm::version,
            .size = sizeof(shm::hello),
            .ring_bytes = {ring, ring},
            .nonce = 1};
}

// A segment by hand: `size` bytes, with what is wrong about it.
shm::descriptor strange_memory(std::uint64_t size, int seals, bool allocated,
                               const std::function<void(shm::fixed_fields&)>& spoil) {
    shm::descriptor memory{::memfd_create("strange", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    EXPECT_EQ(::ftruncate(memory.get(), static_cast<off_t>(size)), 0);
    if (allocated) EXPECT_EQ(::posix_fallocate(memory.get(), 0, static_cast<off_t>(size)), 0);
    shm::fixed_fields fixed{.magic = shm::magic,
                            .version = shm::version,
                            .header_bytes = shm::header_bytes,
                            .ring_bytes = {4096, 4096},
                            .nonce = 1};
    if (spoil) spoil(fixed);
    EXPECT_EQ(::pwrite(memory.get(), &fixed, sizeof fixed, 0), static_cast<ssize_t>(sizeof fixed));
    if (seals) EXPECT_EQ(::fcntl(memory.get(), F_ADD_SEALS, seals), 0);
    return memory;
}

constexpr int good_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr std::uint64_t good_size = 4096 * 3;

TEST(Shm, S3_AWrongMagicVersionOrSizeIsRefusedAndTheListenerGoesOn) {
    const own_run_directory here;
    io_reactor on;
    echo_server server{on, "shm://app?max-ring=64KiB"};
    talker before{connected(on, "shm://app?ring=4KiB").value()};

    const auto refused = [&](const char* what, errc expected, const shm::hello& hello, std::size_t size,
                             int fd, std::size_t copies) {
        SCOPED_TRACE(what);
        const strange_client client{here};
        client.send(&hello, size, fd, copies);
        on.run_until([&] { return client.told(); });
        EXPECT_EQ(client.answer(), static_cast<int>(expected));
        EXPECT_EQ(client.answer(), -1) << "and the connection is closed";
        before.say(what);  // traffic of others goes on
        on.run_until([&] { return before.answered(); });
    };
    const auto good = strange_memory(good_size, good_seals, true, {});
    const auto a_socket = shm::open_socket().value();
    const auto hello_with = [](const std::function<void(shm::hello&)>& spoil) {
        shm::hello h = good_hello();
        spoil(h);
        return h;
    };
    const std::size_t whole = sizeof(shm::hello);
    refused("magic", errc::bad_message, hello_with([](auto& h) { h.magic ^= 1; }), whole, good.get(), 1);
    refused("version", errc::wrong_version, hello_with([](auto& h) { h.version = shm::version + 1; }), whole,
            good.get(), 1);
    refused("size", errc::bad_message, hello_with([](auto& h) { h.size = 72; }), whole, good.get(), 1);
    refused("short", errc::bad_message, good_hello(), whole - 1, good.get(), 1);
    refused("no descriptor", errc::bad_message, good_hello(), whole, -1, 0);
    refused("two descriptors", errc::bad_message, good_hello(), whole, good.get(), 2);
    refused("two descriptors, and half a word of them", errc::bad_message,
            hello_with([](auto& h) { h.lends = 2; }), whole, good.get(), 2);
    refused("one descriptor of two", errc::bad_message, hello_with([](auto& h) { h.lends = 1; }), whole,
            good.get(), 1);
    refused("eight descriptors", errc::bad_message, good_hello(), whole, good.get(), 8);
    refused("ring too large", errc::limit_reached, good_hello(128 * 1024), whole, good.get(), 1);
    refused("ring enormous", errc::limit_reached, good_hello(~std::uint64_t{0}), whole, good.get(), 1);
    refused("ring no power of two", errc::bad_message, good_hello(5000), whole, good.get(), 1);
    refused("ring 0", errc::bad_message, good_hello(0), whole, good.get(), 1);
    refused("rings of another size", errc::bad_message, good_hello(8192), whole, good.get(), 1);
    refused("nonce", errc::bad_message, hello_with([](auto& h) { h.nonce = 2; }), whole, good.get(), 1);
    refused("a socket", errc::bad_message, good_hello(), whole, a_socket.get(), 1);

    const auto memory_refused = [&](const char* what, errc expected, const shm::descriptor& memory) {
        refused(what, expected, good_hello(), whole, memory.get(), 1);
    };
    using fixed = shm::fixed_fields;
    memory_refused("unsealed", errc::bad_message, strange_memory(good_size, 0, true, {}));
    memory_refused("may shrink", errc::bad_message,
                   strange_memory(good_size, F_SEAL_GROW | F_SEAL_SEAL, true, {}));
    memory_refused("may be sealed further", errc::bad_message,
                   strange_memory(good_size, F_SEAL_GROW | F_SEAL_SHRINK, true, {}));
    memory_refused("too small", errc::bad_message, strange_memory(4096, good_seals, true, {}));
    memory_refused("too large", errc::bad_message, strange_memory(good_size + 4096, good_seals, true, {}));
    memory_refused("not allocated", errc::bad_message, strange_memory(good_size, good_seals, false, {}));
    memory_refused("read only", errc::bad_message,
                   strange_memory(good_size, good_seals | F_SEAL_WRITE, true, {}));
    memory_refused("magic inside", errc::bad_message,
                   strange_memory(good_size, good_seals, true, [](fixed& f) { f.magic += 1; }));
    memory_refused("version inside", errc::wrong_version,
                   strange_memory(good_size, good_seals, true, [](fixed& f) { f.version = 0; }));
    memory_refused("ring inside", errc::bad_message,
                   strange_memory(good_size, good_seals, true, [](fixed& f) { f.ring_bytes[1] = 8192; }));
    memory_refused("header inside", errc::bad_message,
                   strange_memory(good_size, good_seals, true, [](fixed& f) { f.header_bytes = 0; }));
    memory_refused("nonce inside", errc::bad_message,
                   strange_memory(good_size, good_seals, true, [](fixed& f) { f.nonce = 3; }));

    EXPECT_EQ(server.guests.size(), 1u) << "nobody of them got in";
    // And the same by hand, without a fault, is taken.
    const strange_client client{here};
    const shm::hello hello = good_hello();
    client.send(&hello, whole, good.get(), 1);
    on.run_until([&] { return client.told(); });
    EXPECT_EQ(client.answer(), 0);
    EXPECT_EQ(server.guests.size(), 2u);
}

TEST(Shm, S3_ARingThatTheListenerDoesNotTakeIsAnErrorThatSaysWhichItTakes) {
    const own_run_directory here;
    io_reactor on;
    echo_server server{on, "shm://app?max-ring=64KiB"};
    const auto refused = connected(on, "shm://app?ring=1MiB");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), errc::limit_reached);
    EXPECT_NE(refused.error().text().find("64 KiB"), std::string_view::npos) << refused.error().what();
    EXPECT_TRUE(connected(on, "shm://app?ring=64KiB"));
}

TEST(Shm, S3_AClientMayAttachBeforeDuringAndAfterTheTrafficOfOthersAndNothingIsLost) {
    const own_run_directory here;
    io_reactor on;
    echo_server server{on, "shm://app"};
    std::vector<std::unique_ptr<talker>> clients;
    for (int n = 0; n < 10; ++n) {
        clients.push_back(std::make_unique<talker>(connected(on, "shm://app?ring=4KiB").value()));
        for (auto& c : clients)
            for (int k = 0; k < 10; ++k) c->say(std::to_string(n * 10 + k) + " ");
    }
    on.run_until([&] { return std::ranges::all_of(clients, [](auto& c) { return c->answered(); }); });
    talker late{connected(on, "shm://app").value()};
    late.say("late");
    on.run_until([&] { return late.answered(); });
}

TEST(ShmTransport, ThoseWhoSayNothingAreClosedAfterFiveSecondsAndKeepOthersOutNoLonger) {
    const own_run_directory here;
    io_reactor on;
    echo_server server{on, "shm://app"};
    std::vector<strange_client> silent;
    for (int n = 0; n < 70; ++n) silent.emplace_back(here);
    const auto begin = std::chrono::steady_clock::now();
    const auto link = connected(on, "shm://app");
    ASSERT_TRUE(link) << link.error().what();
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 4900ms) << "64 at a time, 5 s each";
    on.run_until([&] { return silent.front().told(); });
    EXPECT_EQ(silent.front().answer(), -1);
    EXPECT_EQ(server.guests.size(), 1u);
}

// ---------------------------------------------------------------- S4: a peer that is killed

// Connects, has flushed a message, and waits to be killed; or kills itself with half a message written.
TEST(ShmPeer, PlaysItsPartWhenAnotherTestStartsIt) {
    const std::string part = other_process::part();
    if (part.empty()) GTEST_SKIP() << "started by other tests";
    io_reactor on;
    auto link = connected(on, "shm://app?ring=64KiB");
    ASSERT_TRUE(link) << link.error().what();
    recorder owner;
    (*link)->start(owner);
    ASSERT_TRUE(write_text(**link, "published"));
    if (part == "half") {
        const auto room = (*link)->reserve(64);
        std::memset(room.data(), 'x', 64);
        (*link)->commit(64);  // not flushed
        ::raise(SIGKILL);
    }
    if (part == "polite") {
        (*link)->close();
        return;
    }
    on.run_until([&] { return owner.end.has_value(); });
}

TEST(Shm, S4_APeerThatIsKilledIsShownToTheEndAndThenReportedAndAPoliteOneIsToldApart) {
    const own_run_directory here;
    for (const std::string part : {"half", "wait", "polite"}) {
        SCOPED_TRACE(part);
        io_reactor on;
        std::unique_ptr<byte_link> in;
        recorder owner;
        const auto listening = shm_transport()
                                   ->listen(on, shm_endpoint("shm://app"),
                                            [&](std::unique_ptr<byte_link> l) {
                                                in = std::move(l);
                                                in->start(owner);
                                            })
                                   .value();
        other_process peer{"ShmPeer.PlaysItsPartWhenAnotherTestStartsIt", part};
        on.run_until([&] { return text_of(owner.bytes) == "published"; });
        EXPECT_EQ(in->peer().pid, peer.id());
        if (part == "wait") peer.kill();
        on.run_until([&] { return owner.end.has_value(); });
        EXPECT_EQ(owner.end->code(), part == "polite" ? errc::closed : errc::io) << owner.end->what();
        EXPECT_EQ(text_of(owner.bytes), "published");
        const int status = peer.wait();
        if (part == "polite") EXPECT_EQ(status, 0);
        else EXPECT_TRUE(WIFSIGNALED(status));
    }
    EXPECT_EQ(here.files(), std::vector<std::string>{});
}

TEST(Shm, S4_AListenerThatWasKilledIsReplaced) {
    const own_run_directory here;
    int told[2];
    ASSERT_EQ(::pipe2(told, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        io_reactor on;
        echo_server server{on, "shm://app"};
        static_cast<void>(::write(told[1], "x", 1));
        for (;;) ::pause();
    }
    char byte = 0;
    ASSERT_EQ(::read(told[0], &byte, 1), 1);
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    ::close(told[0]);
    ::close(told[1]);
    io_reactor on;
    const auto nobody = connected(on, "shm://app");
    ASSERT_FALSE(nobody);
    EXPECT_EQ(nobody.error().code(), errc::unreachable) << nobody.error().what();
    echo_server server{on, "shm://app"};
    EXPECT_TRUE(connected(on, "shm://app"));
}

// ---------------------------------------------------------------- S5, S6: many clients

std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) ++count;
    return count;
}

std::size_t mapped_segments() {
    std::ifstream maps{"/proc/self/maps"};
    std::size_t count = 0;
    for (std::string line; std::getline(maps, line);)
        count += line.find("memfd:coppice-shm") != std::string::npos;
    return count;
}

TEST(Shm, S5_ACrowdConnectsAtOnceLeavesAndRejoinsAndNoSegmentOrDescriptorIsLeft) {
    const own_run_directory here;
    io_reactor on;
    echo_server server{on, "shm://app"};
    on.run_ready();
    static_cast<void>(lending_memory());  // one a process, for good
    const std::size_t descriptors = open_descriptors();
    for (int round = 0; round < 3; ++round) {
        std::vector<std::unique_ptr<attempt>> attempts;
        std::vector<std::unique_ptr<talker>> clients;
        for (int n = 0; n < crowd; ++n)
            attempts.push_back(
                shm_transport()
                    ->connect(on, shm_endpoint("shm://app?ring=4KiB"),
                              [&](auto link) {
                                  ASSERT_TRUE(link) << link.error().what();
                                  clients.push_back(std::make_unique<talker>(std::move(*link)));
                                  clients.back()->say("here " + std::to_string(clients.size()));
                              })
                    .value());
        on.run_until([&] {
            return clients.size() == static_cast<std::size_t>(crowd) &&
                   std::ranges::all_of(clients, [](auto& c) { return c->answered(); });
        });
        attempts.clear();
        clients.clear();
        on.run_until(
            [&] { return std::ranges::all_of(server.guests, [](auto& g) { return g->end.has_value(); }); });
        for (auto& g : server.guests) EXPECT_EQ(g->end->code(), errc::closed);
        server.guests.clear();
        on.run_ready();
        EXPECT_EQ(open_descriptors(), descriptors);
        EXPECT_EQ(mapped_segments(), 0u);
    }
}

TEST(Shm, S6_CorruptingTheSegmentOfOneClientLeavesAllOthersUnaffected) {
    const own_run_directory here;
    io_reactor on;
    echo_server server{on, "shm://app"};
    std::vector<std::unique_ptr<talker>> clients;
    for (int n = 1; n < crowd; ++n)
        clients.push_back(std::make_unique<talker>(connected(on, "shm://app?ring=4KiB").value()));
    // The hostile one: brought up by hand, so that its words are in our hands.
    shm::descriptor memory;
    auto segment = shm::segment::create({{4096, 4096}}, 1, memory).value();
    const strange_client bad{here};
    const shm::hello hello = good_hello();
    bad.send(&hello, sizeof hello, memory.get(), 1);
    on.run_until([&] { return bad.told(); });
    ASSERT_EQ(bad.answer(), 0);
    on.run_until([&] { return server.guests.size() == static_cast<std::size_t>(crowd); });

    const auto talk = [&](const std::string& text) {
        for (auto& c : clients) c->say(text);
        on.run_until([&] { return std::ranges::all_of(clients, [](auto& c) { return c->answered(); }); });
    };
    talk("before ");
    for (auto& c : clients) c->say("during ");
    std::uint64_t random = 7;
    for (std::size_t i = 0; i < 4096; ++i)
        segment.data(shm::side::connector)[i] = static_cast<std::byte>(next_random(random));
    segment.words(shm::side::connector).tail.value = next_random(random);
    segment.words(shm::side::acceptor).head.value = next_random(random);
    static_cast<void>(::send(bad.socket.get(), "x", 1, MSG_NOSIGNAL));
    on.run_until([&] { return server.guests.back()->end.has_value(); });
    EXPECT_EQ(server.guests.back()->end->code(), errc::bad_message);
    talk("after ");
    for (auto& c : clients) {
        EXPECT_EQ(c->said, "before during after ");
        EXPECT_FALSE(c->owner.end);
    }
    EXPECT_EQ(std::ranges::count_if(server.guests, [](auto& g) { return g->end.has_value(); }), 1);
}

}  // namespace
