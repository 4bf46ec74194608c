// Actors in processes of their own, of this same program: the same source behaves as it does in a coroutine or on a
// thread, at every place where that can be seen. Real processes, real time; each test counts what it leaves behind.
#include <algorithm>

#include "process_actors.hpp"

namespace coppice::tests::carried {

namespace {

INSTANTIATE_TEST_SUITE_P(Over, InProcess, transports(), name_of_transport);

TEST_P(InProcess, RunsAnActorAsAnyOtherIsRun) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start({}));
    play(
        n,
        [](actor<anything> self, process_carrier how) -> task<> {
            auto made = co_await self.start(child("counter", how, worker, std::uint64_t{7}));
            EXPECT_TRUE(made) << made.error().what();
            if (!made) co_return;
            const ref<worker_protocol> c{*made};
            EXPECT_EQ(self.send<add>(c, 5u), errc::ok);
            const auto sum = co_await self.ask<get>(c, 10s);
            EXPECT_TRUE(sum && *sum == 12) << sum.error().what();
            const auto pid = co_await self.ask<which_process>(c, 10s);
            EXPECT_TRUE(pid && *pid != static_cast<std::uint32_t>(::getpid()));
            const auto path = co_await self.ask<where>(c, 10s);
            EXPECT_TRUE(path && *path == self.path() + "/counter") << path.error().what();
        },
        carrier());
}

// ---------------------------------------------------------------- one source, three carriers

std::string told(const exit_reason& r) {
    std::string text = std::string{to_string(r.kind())} + ": " + std::string{r.text()} + " in " +
                       std::string{r.origin()} + " at " + std::string{r.in_hand()};
    return r.cause() ? text + " because " + told(*r.cause()) : text;
}

using lines = std::vector<std::string>;

task<> put_answers(actor<anything> self, ref<worker_protocol> w, lines* said) {
    const auto sum = co_await self.ask<get>(w, 10s);
    said->push_back("sum " + (sum ? std::to_string(*sum) : sum.error().what()));
    const auto at = co_await self.ask<where>(w, 10s);
    said->push_back("path " + (at ? at->substr(self.path().size()) : at.error().what()));
    const auto life = co_await self.ask<which_life>(w, 10s);
    said->push_back("life " + (life ? std::to_string(*life) : life.error().what()));
    const auto none = co_await self.ask<refuse>(w, 10s);
    said->push_back("refused " + std::string{to_string(none.error().code())});
}

task<> put_end(actor<anything> self, lines* said) {
    std::string text = told(co_await next_down(self));
    for (auto at = text.find(self.path()); at != std::string::npos; at = text.find(self.path()))
        text.replace(at, self.path().size(), "~");
    said->push_back(text);
}

struct unknown {};

// All that others can see of a worker: what it answers, how it ends, how often it was restarted.
task<> write_down(actor<anything> self, child_spec spec, lines* said) {
    supervisor_spec tree;
    tree.intensity(100, 1s).add(spec);
    auto sup = co_await self.start(supervisor("sup", std::move(tree)));
    REQUIRE_OR_END(sup);
    const std::string path = self.path() + "/sup/w";
    const auto found = co_await self.resolve<worker_protocol>(path);
    REQUIRE_OR_END(found);
    const ref<worker_protocol> w = *found;
    const ref<supervisor_protocol> s{*sup};
    co_await put_answers(self, w, said);
    unsigned taken = 0;
    for (unsigned i = 0; i < 100; ++i) taken += self.send<add>(w, i) == errc::ok;
    said->push_back("taken " + std::to_string(taken));
    co_await put_answers(self, w, said);
    const auto by_other = co_await self.resolve<protocol<quit>>(path);
    said->push_back("a part of the protocol " + std::string{to_string(by_other.error().code())});
    const auto wrong = co_await self.resolve<protocol<unknown>>(path);
    said->push_back("a foreign message " + std::string{to_string(wrong.error().code())});

    self.monitor(w);
    EXPECT_EQ(self.send<fail>(w, "no more paper"), errc::ok);
    co_await put_end(self, said);
    co_await put_answers(self, w, said);
    self.monitor(w);
    EXPECT_EQ(self.send<throw_it>(w, "a thrown text"), errc::ok);
    co_await put_end(self, said);
    co_await put_answers(self, w, said);
    self.monitor(w);
    EXPECT_EQ(self.send<add>(w, 3u), errc::ok);
    EXPECT_EQ(self.send<quit>(w), errc::ok);
    co_await put_end(self, said);
    co_await put_answers(self, w, said);
    const auto all = co_await self.ask<which_children>(s, 10s);
    REQUIRE_OR_END(all && all->size() == 1);
    said->push_back(all->front().name + " restarts " + std::to_string(all->front().restarts));
    EXPECT_TRUE(co_await self.ask<terminate_child>(s, 10s, "w"));
    const auto gone = co_await self.resolve<worker_protocol>(path);
    said->push_back("its name " + std::string{to_string(gone.error().code())});

    for (const char* how : {"stop", "shutdown", "kill"}) {
        spec.name = how;
        const auto made = co_await self.start(spec);
        REQUIRE_OR_END(made);
        const ref<worker_protocol> one{*made};
        co_await put_answers(self, one, said);
        self.monitor(one);
        if (spec.name == "stop") self.stop(one);
        else if (spec.name == "shutdown") self.shutdown(one);
        else self.kill(one);
        co_await put_end(self, said);
    }
}

TEST_P(InProcess, W3SameSourceGivesTheSameTranscript) {
    lines of[3];
    const coppice::carrier how[3] = {in_coroutine, thread_carrier{}, carrier()};
    for (int i = 0; i < 3; ++i) {
        node n{"app", quiet(2)};
        ASSERT_TRUE(n.start({}));
        play(n, write_down, child("w", how[i], worker, std::uint64_t{1}), &of[i]);
    }
    EXPECT_EQ(of[0], of[1]);
    EXPECT_EQ(of[0], of[2]);
    EXPECT_GT(of[0].size(), 30u) << "the script did not come to its end";
}

}  // namespace

}  // namespace coppice::tests::carried
