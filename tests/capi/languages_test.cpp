// Each language's binding as a process child of a supervisor in C++: one row a language (languages/), the same scenes for all.
// Within one process each has tests of its own, in its folder in framework/bindings.
//
// What a child does, each in its own language: a message is a text, with which it ends in failure. A request is a record: without
// fields, it replies with its process's id; with one, with that field; with two, a path and a size, it asks the actor of that path for
// every value, as a record of one field, compares what comes back in its own terms, and replies with a list of texts about
// what was not the same.
#include <signal.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "capi.hpp"
#include "coppice/any_request.hpp"
#include "coppice/process.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

struct which_process {
    using reply = std::int64_t;
};
struct give_back {
    value what;
    using reply = value;
};

struct order {
    std::string what;
    std::int64_t count = 0;
    using reply = order;
};

/// Asks the actor of that path for every value, and tells which did not come back; `large`: bytes of the large ones.
struct ask_for_all {
    std::string path;
    std::int64_t large = 0;
    using reply = std::vector<std::string>;
};

struct language {
    std::string name;
    std::vector<std::string> child;
    std::vector<std::string> echo;         // of its examples
    std::vector<std::string> environment;  // NAME=text
    std::string failure;                   // what its child tells of an exception with the text "no flour"
    std::string missing;                   // why it does not run here; empty if it does
    friend std::ostream& operator<<(std::ostream& out, const language& l) { return out << l.name; }
};

const std::vector<language> languages{
#include "languages.inc"
};

child_spec child_of(const language& l, const std::vector<std::string>& command, std::string name,
                    const std::string& transport) {
    auto program = in_process(command.at(0), {command.begin() + 1, command.end()});
    program.env("COPPICE_LIBRARY", C_LIBRARY);
    for (const std::string& variable : l.environment) {
        const auto at = variable.find('=');
        program.env(variable.substr(0, at), variable.substr(at + 1));
    }
    // Some of them take seconds to begin when all begin at once.
    return child(std::move(name), program.over(transport)).awaits_ready(2min);
}

class Languages : public ::testing::TestWithParam<std::tuple<language, std::string>> {
protected:
    Languages() { register_builtin_transports(); }
    void SetUp() override {
        if (const auto& why = spoken().missing; !why.empty()) GTEST_SKIP() << why;
    }
    static const language& spoken() { return std::get<0>(GetParam()); }
    static supervisor_spec tree_of(const std::vector<std::string>& command) {
        return supervisor_spec{}.intensity(100, 1s).add(
            child_of(spoken(), command, "far", std::get<1>(GetParam())));
    }
    static supervisor_spec tree() { return tree_of(spoken().child); }

private:
    own_run_directory directory_;
};
INSTANTIATE_TEST_SUITE_P(Of, Languages,
                         ::testing::Combine(::testing::ValuesIn(languages),
                                            ::testing::Values(std::string{"unix"}, std::string{"shm"})),
                         [](const auto& tested) {
                             return std::get<0>(tested.param).name + "_" + std::get<1>(tested.param);
                         });

task<> exchange_all_values(actor<anything> self) {
    const auto far = co_await self.resolve<anything>("/app/far");
    REQUIRE_OR_END(far);
    using int64 = std::numeric_limits<std::int64_t>;
    const std::vector<value> all{value{},
                                 true,
                                 false,
                                 0,
                                 -1,
                                 int64::max(),
                                 int64::min(),
                                 std::numeric_limits<std::uint64_t>::max(),
                                 0.5,
                                 -std::numeric_limits<double>::infinity(),
                                 "",
                                 std::string{"with a zero \0 inside", 20},
                                 "four bytes: \xf0\x9d\x84\x9e",
                                 std::string(16u << 20, 'x'),
                                 value::bytes{},
                                 value::bytes{std::byte{0}, std::byte{255}},
                                 value::list{},
                                 value::list{1, value::list{"two", value{}}},
                                 value::map{},
                                 value::map{{"price", 2.5}, {7, value::list{true}}}};
    for (const value& v : all) {
        const auto back = co_await self.ask<give_back>(*far, 60s, v);
        EXPECT_TRUE(back && *back == v)
            << to_string(v) << " came back as " << (back ? to_string(*back) : back.error().what());
    }
    const auto nan = co_await self.ask<give_back>(*far, 60s, value{std::nan("")});
    EXPECT_TRUE(nan && nan->as<double>() && std::isnan(*nan->as<double>()));
}

TEST_P(Languages, P6AChildGivesBackEveryValueAsItCame) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start(tree()));
    play(n, exchange_all_values);
}

TEST_P(Languages, P6TheEchoOfTheExamplesGivesBackAMessageOfATypeOfCxxAsThatType) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start(tree_of(spoken().echo)));
    play(n, [](actor<anything> self) -> task<> {
        const auto far = co_await self.resolve<anything>("/app/far");
        REQUIRE_OR_END(far);
        self.send<value>(*far, value{"is only logged"});
        const auto back = co_await self.ask<order>(*far, 60s, "tea", 3);
        EXPECT_TRUE(back && back->what == "tea" && back->count == 3) << back.error().what();
    });
}

TEST_P(Languages, W20AChildThatIsKilledIsRestarted) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start(tree()));
    play(n, [](actor<anything> self) -> task<> {
        const auto far = co_await self.resolve<anything>("/app/far");
        REQUIRE_OR_END(far);
        const auto pid = co_await self.ask<which_process>(*far, 60s);
        REQUIRE_OR_END(pid);
        ::kill(static_cast<pid_t>(*pid), SIGKILL);
        for (;;) {
            const auto next = co_await self.ask<which_process>(*far, 60s);
            if (!next) continue;  // it fell to the life that was ending
            EXPECT_NE(*next, *pid);
            break;
        }
    });
}

TEST_P(Languages, W20AnExceptionIsTheReasonOfTheActorsEnd) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start(tree()));
    play(n, [](actor<anything> self) -> task<> {
        const auto far = co_await self.resolve<anything>("/app/far");
        REQUIRE_OR_END(far);
        self.monitor(*far);
        self.send<value>(*far, value{"no flour"});
        auto m = co_await self.receive_only<down>(60s);
        REQUIRE_OR_END(m);
        const exit_reason& r = m->get_if<down>()->reason;
        EXPECT_EQ(r.kind(), exit_kind::failed) << r.to_string();
        EXPECT_EQ(r.text(), spoken().failure);
        EXPECT_TRUE(co_await self.ask<which_process>(*far, 60s)) << "its successor";
    });
}

// ---------------------------------------------------------------- all pairs

task<> cxx_child(actor<protocol<any_request>> self) {
    while (auto m = co_await self.receive())
        m.match([](request<any_request> r) {
            const auto* asked = r->what.get_if<value::record>();
            r.reply(asked && asked->fields.size() == 1 ? asked->fields[0] : value{});
        });
}

// Has /app/asker send every value to each of the others in turn, and notes what came back wrong.
task<> have_every_value_exchanged(actor<anything> self, std::vector<std::string> names,
                                  std::vector<std::vector<std::string>>* wrong) {
    for (const std::string& name : names) {
        const auto asker = co_await self.resolve<anything>("/app/asker");
        REQUIRE_OR_END(asker);
        auto found =
            co_await self.ask<ask_for_all>(*asker, 30min, "/app/other_" + name, std::int64_t{16} << 20);
        wrong->push_back(found ? *found : std::vector<std::string>{found.error().what()});
    }
}

// C++ asks in the other scenes.
TEST_P(Languages, P6ExchangeEveryValueWithEveryOther) {
    const auto& [asks, transport] = GetParam();
    supervisor_spec tree;
    tree.add(child_of(asks, asks.child, "asker", transport));
    std::vector<std::string> names{"Cxx"};
    tree.add(child("other_Cxx", in_coroutine, cxx_child));
    for (const language& l : languages)
        if (l.missing.empty()) {
            names.push_back(l.name);
            tree.add(child_of(l, l.child, "other_" + l.name, transport));
        }
    node n{"app", quiet(2)};
    const auto started = n.start(std::move(tree));
    ASSERT_TRUE(started) << started.error().what();
    std::vector<std::vector<std::string>> wrong;
    play(n, have_every_value_exchanged, names, &wrong);
    ASSERT_EQ(wrong.size(), names.size());

    std::string said{asks.name + " asks"};
    for (std::size_t i = 0; i < names.size(); ++i) {
        said += fmt::format("  {}: {}", names[i],
                            wrong[i].empty() ? "all" : std::to_string(wrong[i].size()) + " not");
        EXPECT_THAT(wrong[i], ::testing::IsEmpty()) << asks.name << " asked " << names[i];
    }
    std::puts(said.c_str());
}

}  // namespace
}  // namespace coppice::tests
