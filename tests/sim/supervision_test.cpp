// Random supervision trees under random failures, thousands of seeds.
//
// One test lets failures happen one at a time and holds every restart count against a model that knows no concurrency. The
// other lets everything happen at once (crashes, stops, kills, starts, terminations, of workers and of supervisors) and
// holds what is left in the end against what must be true whatever happened. A failing seed is printed and replays.
#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../support/seeds.hpp"
#include "../support/workers.hpp"
#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"

namespace coppice::tests {
namespace {

using testing::world;

class dice {
public:
    explicit dice(std::uint64_t seed) : engine_{seed} {}
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
    std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }
    bool chance(std::size_t percent) { return below(100) < percent; }

private:
    std::mt19937_64 engine_;
};

// ---------------------------------------------------------------- plans: what a tree is made from

struct plan {
    std::string name;
    bool is_supervisor = false;
    restart kind = restart::permanent;
    bool significant = false;
    carrier how = in_coroutine;
    strategy strat = strategy::one_for_one;
    std::uint32_t most = 3;
    std::chrono::nanoseconds window = 5s;
    std::chrono::nanoseconds backoff{0};
    std::vector<plan> children;
};

carrier random_carrier(dice& d) {
    const std::size_t n = d.below(100);
    return n < 50 ? carrier{in_coroutine} : n < 85 ? carrier{spread} : carrier{in_thread};
}

void random_kind(dice& d, plan& p) {
    const std::size_t n = d.below(100);
    p.kind = n < 60 ? restart::permanent : n < 80 ? restart::transient : restart::temporary;
    p.significant = p.kind != restart::permanent && d.chance(10);
}

plan random_supervisor(dice& d, std::string name, int depth, std::size_t& room) {
    plan p;
    p.name = std::move(name);
    p.is_supervisor = true;
    p.how = random_carrier(d);
    p.strat = static_cast<strategy>(d.below(4));
    p.most = static_cast<std::uint32_t>(d.below(6));
    p.window = std::chrono::milliseconds{d.between(500, 10'000)};
    const std::size_t count = d.between(2, 5);
    for (std::size_t i = 0; i < count && room > 0; ++i) {
        --room;
        const std::string child = (depth > 0 && d.chance(40) ? "s" : "w") + std::to_string(i);
        if (child[0] == 's') {
            p.children.push_back(random_supervisor(d, child, depth - 1, room));
        } else {
            plan w;
            w.name = child;
            w.how = random_carrier(d);
            p.children.push_back(std::move(w));
        }
        random_kind(d, p.children.back());
    }
    return p;
}

plan random_tree(dice& d) {
    std::size_t room = 20;
    return random_supervisor(d, "app", 2, room);
}

child_spec child_of(const plan& p, const journal& log);
supervisor_spec spec_of(const plan& p, const journal& log) {
    supervisor_spec spec{p.strat};
    spec.intensity(p.most, p.window).backoff(p.backoff, 4 * p.backoff);
    for (const plan& c : p.children) spec.add(child_of(c, log));
    return spec;
}
child_spec child_of(const plan& p, const journal& log) {
    child_spec c =
        p.is_supervisor ? supervisor(p.name, spec_of(p, log), p.how) : worker(p.name, log, {}, p.how);
    c.restarts(p.kind);
    if (p.significant) c.significant();
    return c;
}

const char* const ways[] = {"crash", "leave", "give_up", "kill", "stop"};
bool is_clean(std::string_view how) { return how == "leave" || how == "stop"; }

void end_worker(world& w, const std::string& path, std::string_view how) {
    auto found = w.resolve<worker_protocol>(path);
    if (!found) return;
    if (how == "crash") w.send<crash>(*found, "boom");
    else if (how == "leave") w.send<leave>(*found);
    else if (how == "give_up") w.send<give_up>(*found);
    else if (how == "kill") w.kill(*found);
    else w.stop(*found);
}

// ---------------------------------------------------------------- the model

struct living {
    const plan* of = nullptr;
    std::uint32_t restarts = 0;
    std::deque<std::int64_t> times;
    std::vector<living> children;

    explicit living(const plan& p) : of{&p} { begin(); }
    void begin() {
        times.clear();
        children.clear();
        for (const plan& c : of->children) children.emplace_back(c);
    }
    void again() {
        ++restarts;
        begin();
    }
};

enum class fate { goes_on, ends_cleanly, fails };

/// A child of `s` has ended: what becomes of `s`.
fate child_ended(living& s, std::size_t which, bool cleanly, std::int64_t now) {
    const plan& c = *s.children[which].of;
    const bool again = c.kind == restart::permanent || (c.kind == restart::transient && !cleanly);
    if (c.significant && !again) return cleanly ? fate::ends_cleanly : fate::fails;
    if (!again) {
        s.children.erase(s.children.begin() + static_cast<std::ptrdiff_t>(which));
        return fate::goes_on;
    }
    s.times.push_back(now);
    while (s.times.front() < now - s.of->window.count()) s.times.pop_front();
    if (s.times.size() > s.of->most) return fate::fails;
    const strategy strat = s.of->strat;
    std::vector<living> left;
    for (std::size_t i = 0; i < s.children.size(); ++i) {
        living& each = s.children[i];
        const bool affected =
            i == which || strat == strategy::one_for_all || (strat == strategy::rest_for_one && i > which);
        if (affected && i != which && each.of->kind == restart::temporary) continue;
        if (affected) each.again();
        left.push_back(std::move(each));
    }
    s.children = std::move(left);
    return fate::goes_on;
}

struct place {
    std::vector<std::size_t> steps;  // from the root down
    std::string path;
    bool is_supervisor = false;
};

void list_places(const living& s, place here, std::vector<place>& out) {
    for (std::size_t i = 0; i < s.children.size(); ++i) {
        place p = here;
        p.steps.push_back(i);
        p.path += "/" + s.children[i].of->name;
        p.is_supervisor = s.children[i].of->is_supervisor;
        out.push_back(p);
        if (p.is_supervisor) list_places(s.children[i], p, out);
    }
}

/// The actor at `at` has ended. What becomes of the root.
fate ended(living& root, const place& at, bool cleanly, std::int64_t now) {
    std::vector<living*> above{&root};
    for (std::size_t i = 0; i + 1 < at.steps.size(); ++i)
        above.push_back(&above.back()->children[at.steps[i]]);
    for (std::size_t level = above.size(); level-- > 0;) {
        const fate next = child_ended(*above[level], at.steps[level], cleanly, now);
        if (next == fate::goes_on) return next;
        cleanly = next == fate::ends_cleanly;
        if (level == 0) return next;
    }
    return fate::goes_on;
}

const living& at_place(const living& root, const place& p) {
    const living* l = &root;
    for (const std::size_t i : p.steps) l = &l->children[i];
    return *l;
}

void compare(world& w, const living& root) {
    std::vector<place> places;
    list_places(root, place{{}, "/app", true}, places);
    std::set<std::string> expected{"/app"};
    for (const place& p : places) {
        expected.insert(p.path);
        EXPECT_TRUE(w.running(p.path)) << p.path;
        EXPECT_EQ(w.restarts(p.path), at_place(root, p).restarts) << p.path;
    }
    std::multiset<std::string> found;
    for (const actor_info& a : w.inspect().actors) found.insert(a.path);
    EXPECT_EQ(std::vector<std::string>(found.begin(), found.end()),
              std::vector<std::string>(expected.begin(), expected.end()));
}

TEST(Supervision, RestartsWhatTheStrategiesSayForOneFailureAfterTheOther) {
    std::uint64_t restarts = 0, ends = 0;
    for_each_seed(1000, [&](world& w) {
        dice d{w.seed()};
        const plan tree = random_tree(d);
        journal log;
        ASSERT_TRUE(w.start(spec_of(tree, log)));
        living root{tree};
        w.run_until_idle();
        compare(w, root);
        for (int event = 0; event < 12; ++event) {
            std::vector<place> places;
            list_places(root, place{{}, "/app", true}, places);
            if (places.empty()) return;
            const place chosen = places[d.below(places.size())];
            bool cleanly = false;
            if (chosen.is_supervisor) {
                auto s = w.resolve<supervisor_protocol>(chosen.path);
                ASSERT_TRUE(s) << chosen.path;
                w.kill(*s);
            } else {
                const std::string_view how = ways[d.below(std::size(ways))];
                cleanly = is_clean(how);
                end_worker(w, chosen.path, how);
            }
            const std::int64_t now = w.now().time_since_epoch().count();
            w.run_until_idle();
            const fate next = ended(root, chosen, cleanly, now);
            ++restarts;
            if (next != fate::goes_on) {
                ++ends;
                ASSERT_TRUE(w.ended()) << "after the end of " << chosen.path;
                EXPECT_EQ(w.ended()->is_clean(), next == fate::ends_cleanly) << w.ended()->to_string();
                return;
            }
            ASSERT_FALSE(w.ended()) << "after the end of " << chosen.path << ": " << w.ended()->to_string();
            compare(w, root);
            if (::testing::Test::HasFailure()) return;
            w.advance(std::chrono::milliseconds{d.below(3000)});
        }
    });
    if (!seed_to_replay()) EXPECT_GT(ends, 50u);
}

// ---------------------------------------------------------------- everything at once

struct chaos {
    world& w;
    dice d;
    journal log{};
    std::map<std::string, restart> kinds{};  // by path, of every spec that there ever was
    std::vector<std::string> supervisors{};
    std::vector<std::string> workers{};
    std::size_t started = 0;

    void note_plan(const plan& p, const std::string& path) {
        if (path != "/app") kinds[path] = p.kind;
        (p.is_supervisor ? supervisors : workers).push_back(path);
        for (const plan& c : p.children) note_plan(c, path + "/" + c.name);
    }

    static task<> ask_start(actor<anything> self, ref<supervisor_protocol> to, child_spec spec) {
        static_cast<void>(co_await self.ask<start_child>(to, 1h, std::move(spec)));
    }
    static task<> ask_end(actor<anything> self, ref<supervisor_protocol> to, std::string name, bool again) {
        if (again) static_cast<void>(co_await self.ask<restart_child>(to, 1h, std::move(name)));
        else static_cast<void>(co_await self.ask<terminate_child>(to, 1h, std::move(name)));
    }

    void one_deed() {
        const std::size_t n = d.below(100);
        if (n < 55) return end_worker(w, workers[d.below(workers.size())], ways[d.below(std::size(ways))]);
        const std::string path = supervisors[d.below(supervisors.size())];
        auto s = w.resolve<supervisor_protocol>(path);
        if (!s) return;
        if (n < 63) {
            if (path != "/app") w.kill(*s);
        } else if (n < 82) {
            plan p;
            p.name = "n" + std::to_string(started++);
            p.how = random_carrier(d);
            random_kind(d, p);
            kinds[path + "/" + p.name] = p.kind;
            workers.push_back(path + "/" + p.name);
            w.run_under_some_root([to = *s, spec = child_of(p, log)](actor<anything> self) {
                return ask_start(self, to, spec);
            });
        } else {
            const std::string victim = workers[d.below(workers.size())];
            const auto cut = victim.rfind('/');
            auto over = w.resolve<supervisor_protocol>(victim.substr(0, cut));
            if (!over) return;
            w.run_under_some_root([to = *over, name = victim.substr(cut + 1), again = n >= 91](
                                      actor<anything> self) { return ask_end(self, to, name, again); });
        }
    }

    /// At any time: no actor twice, none that nobody asked for.
    void look() {
        std::set<std::string> seen;
        for (const actor_info& a : w.inspect().actors) {
            if (a.path == "/app" || a.path.find('$') != std::string::npos)
                continue;  // the root, and who asks in this test
            EXPECT_TRUE(kinds.contains(a.path)) << a.path;
            EXPECT_TRUE(seen.insert(a.path).second) << "twice: " << a.path;
        }
    }

    void check_quiet() {
        if (w.ended()) return;
        for (const std::string& path : supervisors) {
            auto s = w.resolve<supervisor_protocol>(path);
            if (!s || !w.running(path)) continue;
            auto children = w.ask<which_children>(*s);
            ASSERT_TRUE(children) << path << ": " << children.error().what();
            for (const child_status& c : *children) {
                EXPECT_TRUE(c.running) << path << "/" << c.name;
                EXPECT_TRUE(w.running(path + "/" + c.name)) << path << "/" << c.name;
            }
        }
        // Every actor that lives has a supervisor that lives; what is under no record does not live.
        for (const actor_info& a : w.inspect().actors) {
            if (a.path != "/app") EXPECT_TRUE(w.running(a.path)) << a.path << " is " << a.state;
        }
    }

    void run() {
        const plan tree = [&] {
            plan p = random_tree(d);
            p.most = 8;
            if (d.chance(50)) p.backoff = std::chrono::milliseconds{d.between(1, 300)};
            for (plan& c : p.children)
                if (c.is_supervisor && d.chance(50)) c.backoff = std::chrono::milliseconds{d.between(1, 300)};
            return p;
        }();
        note_plan(tree, "/app");
        if (workers.empty()) return;
        ASSERT_TRUE(w.start(spec_of(tree, log)));
        for (int i = 0; i < 40 && !w.ended(); ++i) {
            one_deed();
            if (d.chance(70)) {
                for (std::size_t steps = d.below(30); steps > 0; --steps) w.step();
            } else {
                w.advance(std::chrono::milliseconds{d.below(400)});
            }
            if (i % 8 == 0) look();
        }
        w.advance(2h);
        look();
        check_quiet();
    }
};

TEST(Supervision, HoldsWhateverEndsAtWhateverMoment) {
    std::size_t survived = 0;
    for_each_seed(2000, [&](world& w) {
        chaos c{w, dice{w.seed() * 31}};
        c.run();
        if (!w.ended()) ++survived;
    });
    if (!seed_to_replay()) EXPECT_GT(survived, 100u);
}

TEST(Supervision, ReplaysARandomTreeExactly) {
    std::set<std::uint64_t> prints;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        std::uint64_t print[2] = {};
        std::vector<std::string> told[2];
        for (int i = 0; i < 2; ++i) {
            world w{seed, {.schedulers = 3}};
            chaos c{w, dice{seed}};
            c.run();
            static_cast<void>(w.finish());
            print[i] = w.fingerprint();
            told[i] = c.log.entries();
        }
        EXPECT_EQ(print[0], print[1]) << "seed " << seed;
        EXPECT_EQ(told[0], told[1]) << "seed " << seed;
        prints.insert(print[0]);
    }
    EXPECT_EQ(prints.size(), 60u);
}

}  // namespace
}  // namespace coppice::tests
