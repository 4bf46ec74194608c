// Each language's binding as a process child of a supervisor in C++: one row a language, the same scenes for all. Within one
// process each has tests of its own, in its folder in framework/bindings.
#include <signal.h>

#include <cmath>
#include <limits>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "capi.hpp"
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

struct language {
    std::string name;
    std::string program;
    std::string binding;  // its folder
    std::string
        child;  // in there: gives back what it is asked, tells its process, and fails with the text that it is told
    std::string echo;  // the echo of its examples
    std::vector<std::pair<std::string, std::string>> environment;
    std::string failure;  // what it tells of an exception with the text "no flour"
    std::string missing;  // why it does not run here; empty if it does
    friend std::ostream& operator<<(std::ostream& out, const language& l) { return out << l.name; }
};

const std::vector<language> languages{
    {"Python",
     PYTHON,
     PYTHON_BINDING,
     "/tests/child.py",
     "/examples/echo.py",
     {{"PYTHONPATH", PYTHON_BINDING}},
     "RuntimeError: no flour",
     ""},
    {"Node", NODE, NODE_BINDING, "/test/child.js", "/examples/echo.js", {}, "Error: no flour", NODE_MISSING},
};

class Languages : public ::testing::TestWithParam<std::tuple<language, std::string>> {
protected:
    Languages() { register_builtin_transports(); }
    void SetUp() override {
        if (const auto& why = spoken().missing; !why.empty()) GTEST_SKIP() << why;
    }
    static const language& spoken() { return std::get<0>(GetParam()); }
    static supervisor_spec tree_of(const std::string& script) {
        auto program =
            in_process(spoken().program, {spoken().binding + script}).env("COPPICE_LIBRARY", C_LIBRARY);
        for (const auto& [name, text] : spoken().environment) program.env(name, text);
        return supervisor_spec{}.intensity(100, 1s).add(child("far", program.over(std::get<1>(GetParam()))));
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

}  // namespace
}  // namespace coppice::tests
