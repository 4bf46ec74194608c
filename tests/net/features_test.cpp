// Rows of the features table that nodes of one process show as well as processes of their own. The title carries the
// row's id. What needs kill -9 or another process is in tests/integration/processes_test.cpp.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "coppice/transport/builtin.hpp"
#include "coppice/transport/sim.hpp"
#include "net/control.hpp"
#include "net/frame.hpp"
#include "support/echo.hpp"
#include "support/log_lines.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/sanitizers.hpp"
#include "support/seeds.hpp"

namespace coppice::tests::features {
namespace {

constexpr std::array kinds{"inproc://top", "unix://top", "tcp://127.0.0.1:0", "shm://top", "pipe://top"};

// ---------------------------------------------------------------- W4

TEST(W4, ChildrenThatKnowOnlyTheParentsAddressReachEachOtherWhicheverStartsFirst) {
    for (const std::string uri : {"inproc://top", "unix://top", "shm://top", "pipe://top"}) {
        for (const bool parent_first : {true, false}) {
            SCOPED_TRACE(uri + (parent_first ? ", parent first" : ", children first"));
            const own_run_directory here;
            node top{"top", listening_at(uri)};
            if (parent_first) ASSERT_TRUE(top.start(supervisor_spec{}));
            std::vector<std::unique_ptr<node>> children;
            for (int i = 0; i < 3; ++i) {
                children.push_back(std::make_unique<node>("c" + std::to_string(i), below(uri)));
                ASSERT_TRUE(children.back()->start(with_echo()));
            }
            if (!parent_first) ASSERT_TRUE(top.start(supervisor_spec{}));
            for (int i = 0; i < 3; ++i)
                play(
                    *children[static_cast<std::size_t>(i)],
                    [](actor<anything> self, std::string other) -> task<> {
                        auto to = co_await when_there(self, "/" + other + "/echo");
                        REQUIRE_OR_END(to);
                        auto back = co_await self.ask<parcel>(*to, 30s, "hello " + other);
                        REQUIRE_OR_END(back);
                        EXPECT_EQ(*back, "hello " + other);
                    },
                    "c" + std::to_string((i + 1) % 3));
        }
    }
}

TEST(W4, LinkedNodesThatHaveNothingToDoUseAlmostNoProcessorTime) {
    const own_run_directory here;
    node_options o = quiet(2);
    // Names of their own: unix and shm would have the same socket.
    o.network.listen = {"inproc://top", "unix://by_unix", "tcp://127.0.0.1:0", "shm://by_shm",
                        "pipe://by_pipe"};
    node top{"top", o};
    ASSERT_TRUE(top.start(with_echo()));
    std::vector<std::unique_ptr<node>> children;
    for (const std::string& uri : top.listening()) {
        children.push_back(std::make_unique<node>("c" + std::to_string(children.size()), below(uri)));
        ASSERT_TRUE(children.back()->start(supervisor_spec{}));
        play(*children.back(), [](actor<anything> self) -> task<> {
            auto to = co_await when_there(self, "/top/echo");
            REQUIRE_OR_END(to);
            auto back = co_await self.ask<parcel>(*to, 30s, "hello");
            EXPECT_TRUE(back);
        });
    }
    const auto used = [] {
        rusage u{};
        ::getrusage(RUSAGE_SELF, &u);
        return std::chrono::seconds{u.ru_utime.tv_sec + u.ru_stime.tv_sec} +
               std::chrono::microseconds{u.ru_utime.tv_usec + u.ru_stime.tv_usec};
    };
    // The second that is measured; its time is the subject, not a way to wait for something.
    const auto before = used();
    std::this_thread::sleep_for(1s);
    const auto cpu = used() - before;
    std::printf("six nodes, five links, idle: %.2f %% of one processor\n",
                static_cast<double>(std::chrono::microseconds{cpu}.count()) / 10'000);
    EXPECT_LT(cpu, 200ms);
}

// ---------------------------------------------------------------- W5, and who is refused why

TEST(W5, AnUnlistedNameIsRefusedAndReportedAndTheListedOneStillGetsIn) {
    for (const std::string uri : kinds) {
        SCOPED_TRACE(uri);
        const own_run_directory here;
        log_lines at_top;
        node_options o = listening_at(uri);
        o.network.allow = {"good", "better"};
        at_top.listen_to(o);
        node top{"top", o};
        ASSERT_TRUE(top.start(with_echo()));
        log_lines at_bad;
        o = below(top.listening().at(0));
        at_bad.listen_to(o);
        node bad{"bad", o};
        ASSERT_TRUE(bad.start(supervisor_spec{}));
        at_top.wait_for({"calls itself bad", "name_refused"});
        at_bad.wait_for({"no link to", "name_refused"});
        if (uri.starts_with("unix"))  // it takes the whole time that it is given
            play(bad, [](actor<anything> self) -> task<> {
                auto none = co_await self.resolve<echo_protocol>("/top/echo");
                EXPECT_EQ(none.error(), errc::name_refused) << none.error().what();
            });
        node good{"good", below(top.listening().at(0))};
        ASSERT_TRUE(good.start(supervisor_spec{}));
        play(good, [](actor<anything> self) -> task<> {
            auto to = co_await when_there(self, "/top/echo");
            REQUIRE_OR_END(to);
            EXPECT_TRUE(co_await self.ask<parcel>(*to, 30s, "hello"));
        });
        EXPECT_EQ(at_top.count({"linked to node bad"}), 0u);
        EXPECT_EQ(at_bad.count({"linked to node top"}), 0u);
    }
}

TEST(W5, AnAbsentPeerIsToldAsUnreachableWithinTheSetTime) {
    for_each_seed(5, [](testing::world& world) {  // whose time is virtual: the limit can be held against it
        auto net = std::make_shared<sim_network>(world.seed());
        register_transport(net);
        network_options o;
        o.listen = {"sim://here"};
        o.parent = "sim://nobody?from=here";
        ASSERT_TRUE(world.start(supervisor_spec{}, "here", o));
        play(world, [](actor<anything> self) -> task<> {
            for (const char* path : {"sim://absent?from=here#/absent/echo", "/nobody/echo"}) {
                const auto before = self.now();
                auto none = co_await self.resolve<echo_protocol>(path);
                EXPECT_EQ(none.error(), errc::unreachable) << path << ": " << none.error().what();
                EXPECT_GE(self.now() - before, limits::ask_deadline) << path;  // it may still have come
                EXPECT_LE(self.now() - before, limits::ask_deadline + 500ms) << path;
            }
        });
    });
}

TEST(O2, ALivingNodesNameIsRefusedAsTakenAndIsFreeWhenItHasEnded) {
    for (const std::string uri : kinds) {
        SCOPED_TRACE(uri);
        const own_run_directory here;
        log_lines at_top;
        node_options o = listening_at(uri);
        at_top.listen_to(o);
        node top{"top", o};
        ASSERT_TRUE(top.start(with_echo()));
        auto first = std::make_unique<node>("twin", below(top.listening().at(0)));
        ASSERT_TRUE(first->start(with_echo()));
        at_top.wait_for({"linked to node twin"});
        log_lines at_second;
        o = below(top.listening().at(0));
        at_second.listen_to(o);
        node second{"twin", o};
        ASSERT_TRUE(second.start(with_echo()));
        at_second.wait_for({"no link to", "name_taken"});
        at_top.wait_for({"calls itself twin", "name_taken"});
        play(top, [](actor<anything> self) -> task<> {  // the first one is not disturbed
            auto to = co_await when_there(self, "/twin/echo");
            REQUIRE_OR_END(to);
            EXPECT_TRUE(co_await self.ask<parcel>(*to, 30s, "hello"));
        });
        EXPECT_EQ(at_second.count({"linked to node top"}), 0u);
        first.reset();
        at_second.wait_for({"linked to node top"});
        // The parent's own name is taken, too.
        log_lines at_third;
        o = below(top.listening().at(0));
        at_third.listen_to(o);
        node third{"top", o};
        ASSERT_TRUE(third.start(supervisor_spec{}));
        at_third.wait_for({"no link to", "name_taken"});
    }
}

TEST(Joining, EachReasonForARefusalHasAnErrorOfItsOwnAndBothSidesTellIt) {
    const own_run_directory here;
    log_lines at_top;
    node_options o = listening_at("unix://top");
    o.network.secret = "the right one";
    o.network.allow = {"a", "b", "c", "top"};
    at_top.listen_to(o);
    node top{"top", o};
    ASSERT_TRUE(top.start(with_echo()));
    struct attempt {
        const char* name;
        const char* secret;
        const char* uri;
        const char* error;
    };
    for (const attempt& one : {attempt{"a", "a wrong one", "unix://top", "wrong_secret"},
                               attempt{"a", "", "unix://top", "wrong_secret"},
                               attempt{"z", "the right one", "unix://top", "name_refused"},
                               attempt{"top", "the right one", "unix://top", "name_taken"},
                               attempt{"a", "the right one", "unix://nobody", "unreachable"}}) {
        SCOPED_TRACE(one.error);
        log_lines there;
        o = below(one.uri);
        o.network.secret = one.secret;
        there.listen_to(o);
        node lower{one.name, o};
        ASSERT_TRUE(lower.start(supervisor_spec{}));
        there.wait_for({"no link to", one.error});
        if (std::string{one.uri} == "unix://top") at_top.wait_for({"a connection from", one.error});
        EXPECT_EQ(there.count({"linked to node"}), 0u);
        const std::string_view why = one.error;  // of the others it is waited whether they last
        if (why != "wrong_secret" && why != "name_refused") continue;
        play(
            lower,
            [](actor<anything> self, std::string uri, std::string code) -> task<> {
                auto none = co_await self.resolve<echo_protocol>(uri + "#/top/echo");
                EXPECT_EQ(to_string(none.error().code()), code) << none.error().what();
                EXPECT_NE(none.error().text().find("no link to " + uri), std::string::npos)
                    << none.error().what();
            },
            std::string{one.uri}, std::string{why});
    }
    o = below("unix://top");
    o.network.secret = "the right one";
    node lower{"a", o};
    ASSERT_TRUE(lower.start(supervisor_spec{}));
    at_top.wait_for({"linked to node a"});
}

TEST(Joining, APeerOfAnotherVersionOfTheProtocolIsRefusedAsThat) {
    const own_run_directory here;
    log_lines at_top;
    node_options o = listening_at("unix://top");
    at_top.listen_to(o);
    node top{"top", o};
    ASSERT_TRUE(top.start(with_echo()));
    const int s = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    for (const auto& one : std::filesystem::directory_iterator{here.path()})
        if (one.is_socket()) std::strncpy(at.sun_path, one.path().c_str(), sizeof at.sun_path - 1);
    ASSERT_EQ(::connect(s, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0) << at.sun_path;
    net::hello h;
    h.version = net::protocol_version + 1;
    h.node = 4711;
    h.name = "future";
    h.as = net::role::child;
    const std::vector<std::byte> body = net::encode(net::control{h});
    std::vector<std::byte> frame(net::frame_bytes(body.size(), false));
    net::frame_header header;
    header.kind = net::frame_kind::control;
    header.length = static_cast<std::uint32_t>(body.size());
    std::memcpy(net::write_frame(frame.data(), header, nullptr), body.data(), body.size());
    ASSERT_EQ(::write(s, frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
    std::vector<std::byte> heard;
    std::array<std::byte, 4096> piece;
    for (ssize_t n = 0; (n = ::read(s, piece.data(), piece.size())) > 0;)  // until it closes
        heard.insert(heard.end(), piece.begin(), piece.begin() + n);
    ::close(s);
    errc told = errc::ok;
    net::parsed_frame f;
    for (std::size_t used = 0;
         net::parse_frame(std::span{heard}.subspan(used), limits::handshake_bytes, f) == errc::ok;
         used += f.size) {
        if (f.header.kind != net::frame_kind::control) continue;
        auto message = net::decode(f.body);
        ASSERT_TRUE(message);
        if (const auto* r = std::get_if<net::refusal>(&*message)) told = r->code;
    }
    EXPECT_EQ(told, errc::wrong_version);
    at_top.wait_for({"calls itself future", "wrong_version"});
}

// ---------------------------------------------------------------- W7, W8, O9, S9

// Two nodes; the lower one's script has the upper one's echo.
template <class F>
void with_two(const std::string& uri, F script) {
    const own_run_directory here;
    node above{"above", listening_at(uri)};
    ASSERT_TRUE(above.start(with_echo()));
    // With the options that it was given; the port is that of the listener.
    node lower{"lower", below(uri.find('?') == std::string::npos ? above.listening().at(0) : uri)};
    ASSERT_TRUE(lower.start(with_echo()));
    play(lower, script);
}

TEST(W7, EverySizeUpTo2048And64MiBArriveByteForByte) {
    for (const std::string uri : kinds) {
        SCOPED_TRACE(uri);
        with_two(uri, [](actor<anything> self) -> task<> {
            auto to = co_await when_there(self, "/above/echo");
            REQUIRE_OR_END(to);
            for (std::size_t size = 0; size <= 2048; ++size) {
                const std::string what = text_of(size);
                auto back = co_await self.ask<parcel>(*to, 60s, what);
                REQUIRE_OR_END(back);
                if (*back != what) ADD_FAILURE() << size << " bytes came back as others";
            }
            const std::string what = text_of(std::size_t{64} << 20);
            auto back = co_await self.ask<parcel>(*to, 120s, what);
            if (!back) ADD_FAILURE() << back.error().what();
            REQUIRE_OR_END(back);
            EXPECT_TRUE(*back == what);
        });
    }
}

TEST(W8, PacksOfStringsSurviveTheWayToAnotherNodeAndBack) {
    for (const std::string uri : kinds) {
        SCOPED_TRACE(uri);
        with_two(uri, [](actor<anything> self) -> task<> {
            auto to = co_await when_there(self, "/above/echo");
            REQUIRE_OR_END(to);
            for (const std::size_t n : {0u, 1u, 8u, 1000u})
                for (const bool large : {false, true}) {
                    std::vector<std::string> strings;
                    for (std::size_t i = 0; i < n; ++i)
                        strings.push_back(i % 3 == 0 ? std::string{} : text_of(i));
                    if (large && n) strings[n / 2] = text_of(std::size_t{1} << 20);
                    auto back = co_await self.ask<pack>(*to, 60s, strings);
                    REQUIRE_OR_END(back);
                    EXPECT_TRUE(*back == strings) << n;
                }
        });
    }
}

// One field of a message is limited to 512 MiB less one byte, as a list of Cap'n Proto is; more is a stream of
// messages. Sender, flow and receiver hold a message once each, and the receiver a second time while it decodes: 2 GiB
// here, which is enough.
TEST(O9, FreeFormBytesFromNoneTo500MiBArriveAndTooManyAreToldAtOnce) {
    with_two("unix://top", [](actor<anything> self) -> task<> {
        auto to = co_await when_there(self, "/above/echo");
        REQUIRE_OR_END(to);
        const std::size_t most = slow_build ? std::size_t{32} << 20 : std::size_t{500} << 20;
        for (const std::size_t size : {std::size_t{1}, std::size_t{0}, std::size_t{100'000}, most}) {
            std::vector<std::byte> bytes(size);
            for (std::size_t i = 0; i < size; i += 509) bytes[i] = static_cast<std::byte>(i * 7 + size);
            const std::uint64_t sum = sum_of(bytes);
            EXPECT_EQ(co_await self.send_wait<free_form>(*to, std::move(bytes)), errc::ok);
            // Behind it from the same sender, and to the same receiver: it is answered after it. Refused while more of
            // such waits for that node than limits::flow_bulk.
            auto seen = co_await self.ask<seen_bulk>(*to, 300s);
            while (seen.error() == errc::mailbox_full) {
                co_await self.sleep(5ms);
                seen = co_await self.ask<seen_bulk>(*to, 300s);
            }
            if (!seen) ADD_FAILURE() << seen.error().what();
            REQUIRE_OR_END(seen);
            EXPECT_EQ(seen->first, size);
            EXPECT_EQ(seen->second, sum);
        }
        if (!slow_build)
            EXPECT_EQ(co_await self.send_wait<free_form>(*to, std::vector<std::byte>(std::size_t{512} << 20)),
                      errc::too_large);
    });
}

TEST(S9, AHundredMebibytesCrossASmallRingWhileSmallMessagesPass) {
    with_two("shm://top?ring=64KiB", [](actor<anything> self) -> task<> {
        auto to = co_await when_there(self, "/above/echo");
        REQUIRE_OR_END(to);
        co_await expect_small_ones_to_pass_a_large_one(self, *to);
    });
}

// ---------------------------------------------------------------- W12

TEST(W12, ALeafTalksToACousinThroughTheRootAndIsKnownThereByItsOwnName) {
    const own_run_directory here;
    node top{"top", listening_at("unix://top")};
    ASSERT_TRUE(top.start(supervisor_spec{}));
    std::vector<std::unique_ptr<node>> nodes;
    for (const std::string side : {"left", "right"}) {
        node_options o = listening_at("unix://" + side);
        o.network.parent = "unix://top";
        nodes.push_back(std::make_unique<node>(side, o));
        ASSERT_TRUE(nodes.back()->start(supervisor_spec{}));
        nodes.push_back(std::make_unique<node>(side + "_leaf", below("unix://" + side)));
        ASSERT_TRUE(nodes.back()->start(with_echo()));
    }
    struct asker {
        static task<> run(actor<protocol<down>> self, std::promise<void>* done) {
            struct at_end {
                std::promise<void>* p;
                ~at_end() { p->set_value(); }
            } const guard{done};
            result<ref<echo_protocol>> to = errc::timeout;
            while (!to) {
                to = co_await self.resolve<echo_protocol>("/right_leaf/echo");
                if (!to) co_await self.sleep(5ms);
            }
            auto back = co_await self.ask<parcel>(*to, 30s, "hello cousin");
            REQUIRE_OR_END(back);
            EXPECT_EQ(*back, "hello cousin");
            auto known = co_await self.ask<who_am_i>(*to, 30s, "/left_leaf/asker");
            REQUIRE_OR_END(known);
            EXPECT_TRUE(*known) << "the sender is not the actor of that name";
            auto other = co_await self.ask<who_am_i>(*to, 30s, "/left_leaf/echo");
            REQUIRE_OR_END(other);
            EXPECT_FALSE(*other);
            auto no_node = co_await self.resolve<echo_protocol>("/nowhere/echo");
            EXPECT_EQ(no_node.error(), errc::unreachable) << no_node.error().what();
            auto no_actor = co_await self.resolve<echo_protocol>("/right_leaf/nobody");
            EXPECT_EQ(no_actor.error(), errc::not_found) << no_actor.error().what();
        }
    };
    std::promise<void> done;
    nodes[1].reset();
    nodes[1] = std::make_unique<node>("left_leaf", below("unix://left"));
    supervisor_spec spec = with_echo();
    spec.add(child("asker", in_coroutine, asker::run, &done).restarts(restart::temporary));
    ASSERT_TRUE(nodes[1]->start(std::move(spec)));
    done.get_future().wait();
}

network_options at(const std::string& own, const std::string& above) {
    network_options o;
    o.listen = {"sim://" + own};
    if (!above.empty()) o.parent = "sim://" + above + "?from=" + own;
    o.hold = 10s;
    return o;
}

// a is below b, b below c, and c wants to be below a: in whatever order they link, one of the three links is refused.
TEST(W12, NodesThatWouldBeEachOthersAncestorsAreRefused) {
    testing::world_options bounded;
    bounded.level = level::info;
    bounded.most_steps =
        500'000;  // with a loop, who is below whom is announced for ever, and time stands still
    for_each_seed(30, bounded, [](testing::world& world) {
        auto net = std::make_shared<sim_network>(world.seed());
        register_transport(net);
        std::vector<std::pair<std::string, std::string>> all{{"a", "b"}, {"b", "c"}, {"c", "a"}};
        std::rotate(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(world.seed() % 3), all.end());
        if (world.seed() % 2) std::swap(all[0], all[1]);
        for (const auto& [own, above] : all) {
            ASSERT_TRUE(world.start(with_echo(), own, at(own, above)));
            if (world.seed() % 5 != 0) world.advance(1s);
        }
        world.advance(5s);
        net->cut();
        world.advance(5s);
        EXPECT_TRUE(std::any_of(world.log().begin(), world.log().end(), [](const auto& line) {
            return line.text.find("each other's ancestors") != std::string::npos;
        }));
    });
}

// ---------------------------------------------------------------- S11

task<> watch_it(actor<anything> self, std::shared_ptr<std::vector<std::string>> told,
                std::shared_ptr<std::chrono::steady_clock::time_point> when) {
    auto to = co_await when_there(self, "/other/echo");
    REQUIRE_OR_END(to);
    self.monitor(*to);
    told->push_back("watching");
    auto m = co_await self.receive();
    REQUIRE_OR_END(m.get_if<down>());
    *when = self.now();
    told->push_back(m.get_if<down>()->reason.to_string());
}

TEST(S11, SilenceIsToldAsALostNodeInTheSetTimeAndAPoliteEndAtOnceAndInOtherWords) {
    enum class ending : std::uint8_t { polite, crash, black_hole };
    for (const ending how : {ending::polite, ending::crash, ending::black_hole})
        for_each_seed(10, [how](testing::world& world) {
            auto net = std::make_shared<sim_network>(world.seed());
            register_transport(net);
            auto told = std::make_shared<std::vector<std::string>>();
            auto when = std::make_shared<std::chrono::steady_clock::time_point>();

            auto other = world.start(with_echo(), "other", at("other", ""));
            ASSERT_TRUE(other);
            ASSERT_TRUE(world.start(
                supervisor_spec{}.add(
                    child("watch", in_coroutine, watch_it, told, when).restarts(restart::temporary)),
                "here", at("here", "other")));
            ASSERT_TRUE(world.run_until([&] { return told->size() == 1; }));
            world.advance(60s);  // an idle link stays up
            ASSERT_EQ(told->size(), 1u);
            const auto before = world.now();
            if (how == ending::polite) world.stop_node("other");
            if (how == ending::crash) world.crash("other");
            if (how == ending::black_hole) net->isolate({"other"});
            world.advance(60s);
            ASSERT_EQ(told->size(), 2u);
            const auto took = *when - before;
            // A polite end is that of the actors, or of the node in its own words; silence is nothing but silence.
            const std::string& why = told->back();
            EXPECT_EQ(why.starts_with("stopped") || why.find("has ended") != std::string::npos,
                      how == ending::polite)
                << why;
            EXPECT_EQ(why.find("out of reach") != std::string::npos, how != ending::polite) << why;
            if (how == ending::polite) {
                EXPECT_LT(took, 1s);
            } else if (how == ending::crash) {  // the link is gone at once: the hold time of `at` runs
                EXPECT_GE(took, 10s);
                EXPECT_LE(took, 11s);
            } else {  // first the silence
                EXPECT_GE(took, 10s);
                EXPECT_LE(took, 11s + limits::silence + limits::ping_after);
            }
        });
}

}  // namespace
}  // namespace coppice::tests::features
