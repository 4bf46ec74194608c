// A slot that a process of C++ and one of Python share: each sees what the other has written, without a copy; and when the Python
// process is killed while it writes, the slot is marked, and everybody is told by its name. Real processes.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "coppice/actors/space.hpp"
#include "coppice/process.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/leftovers.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

using actors::slot;
using actors::slot_ptr;
using actors::space;
using ::testing::HasSubstr;

constexpr std::uint64_t count = 100'000;

struct task_of {
    std::string what;
    slot_ptr<double> numbers;
    using reply = value;
};
struct numbers_at {
    slot_ptr<double> numbers;
    using reply = double;
};

// An interpreter may take its time to start on a busy machine.
child_spec program(const char* name, const std::string& script) {
    return child(name, in_process(PYTHON, {"-B", PYTHON_BINDING "/" + script, "studio"})).awaits_ready(2min);
}

class SpacePython : public ::testing::Test {
protected:
    SpacePython() {
        register_builtin_transports();
        ::setenv("PYTHONPATH", PYTHON_BINDING, 1);
        ::setenv("COPPICE_LIBRARY", C_LIBRARY, 1);
    }
    ~SpacePython() override {
        ::unsetenv("PYTHONPATH");
        ::unsetenv("COPPICE_LIBRARY");
    }
    void TearDown() override { left_.check(); }
    leftovers left_;
};

task<slot_ptr<double>> fill(actor<anything> self, slot image) {
    auto page = (co_await image.write(self, 60s)).value();
    page.clear();
    const auto p = page.allocate<double>(count).value();
    const auto all = page.all(p).value();
    std::iota(all.begin(), all.end(), 0.0);
    co_return p;
}

task<std::vector<double>> content(actor<anything> self, slot image, slot_ptr<double> p) {
    const auto page = (co_await image.read(self, 60s)).value();
    const auto all = page.all(p).value();
    co_return std::vector<double>(all.begin(), all.end());
}

TEST_F(SpacePython, TheExampleOfTheManualAddsUpWhereTheNumbersLie) {
    node here{"app", quiet(2)};
    ASSERT_TRUE(here.start({}));
    play(here, [](actor<anything> self) -> task<> {
        const auto studio = space::create("studio").value();
        const auto image = (co_await studio.reserve(self, "image", count * 8)).value();
        const auto p = co_await fill(self, image);
        auto started = co_await self.start(program("adder", "examples/space.py"));
        REQUIRE_OR_END(started);
        const ref<anything> adder{*started};
        const auto sum = co_await self.ask<numbers_at>(adder, 60s, p);
        REQUIRE_OR_END(sum);
        EXPECT_EQ(*sum, count * (count - 1) / 2.0);
        const auto now = co_await content(self, image, p);
        EXPECT_EQ(now[count - 1], 2.0 * (count - 1)) << "what Python wrote";
        auto wrong = p;
        wrong.count = 2 * count;
        const auto refused = co_await self.ask<numbers_at>(adder, 60s, wrong);
        EXPECT_THAT(refused.error().what(), HasSubstr("bytes are in use"));
    });
}

using watcher_protocol = protocol<actors::slot_damaged, down>;

task<> lose_the_writer(actor<watcher_protocol> self) {
    const actor<anything> me{self.cell()};
    const auto keeper = (co_await self.resolve<actors::space_protocol>("/app/space")).value();
    const auto watching = co_await self.ask<actors::watch_slots>(keeper, 60s, self.me());
    EXPECT_TRUE(watching);
    const auto studio = space::open("studio").value();
    const auto image = (co_await studio.reserve(self, "image", count * 8)).value();
    const auto p = co_await fill(me, image);
    auto first = co_await self.start(program("writer", "tests/space_child.py"));
    auto second = co_await self.start(program("other", "tests/space_child.py"));
    REQUIRE_OR_END(first && second);
    const ref<anything> writer{*first};
    const ref<anything> other{*second};

    const auto sum = co_await self.ask<task_of>(other, 60s, "sum", p);
    REQUIRE_OR_END(sum);
    EXPECT_EQ(sum->as<double>().value_or(0), count * (count - 1) / 2.0);
    const auto pid = co_await self.ask<task_of>(writer, 60s, "half", p);
    REQUIRE_OR_END(pid);
    const auto victim = pid->as<std::int32_t>().value_or(0);
    const std::string name = self.path() + "/writer[" + std::to_string(victim) + "]";
    const auto in_vain = co_await image.read(self, 20ms);
    EXPECT_EQ(in_vain.error(), errc::timeout);
    EXPECT_THAT(in_vain.error().what(), HasSubstr("written by " + name));
    EXPECT_EQ(::kill(victim, SIGKILL), 0);

    auto told = co_await self.receive_only<actors::slot_damaged>(60s);
    REQUIRE_OR_END(told);
    const auto& damage = *told->get_if<actors::slot_damaged>();
    EXPECT_EQ(damage.slot, "image");
    EXPECT_EQ(damage.by.pid, static_cast<std::uint32_t>(victim));
    EXPECT_EQ(damage.by.who, self.path() + "/writer");
    EXPECT_TRUE(image.report().damaged);
    const auto refused = co_await image.read(self, 60s);
    EXPECT_EQ(refused.error(), errc::bad_message);
    EXPECT_THAT(refused.error().what(), HasSubstr(name + " died"));
    const auto in_python = co_await self.ask<task_of>(other, 60s, "sum", p);
    EXPECT_THAT(in_python.error().what(), HasSubstr("bad_message"));
    EXPECT_THAT(in_python.error().what(), HasSubstr(name + " died"));

    const auto repaired = co_await self.ask<task_of>(other, 60s, "repair", p);
    REQUIRE_OR_END(repaired);
    EXPECT_EQ(*repaired, value{true});
    const auto now = co_await content(me, image, p);
    EXPECT_TRUE(std::ranges::all_of(now, [](double x) { return x == 7.0; }));
}

TEST_F(SpacePython, W17AWriterInPythonThatIsKilledLeavesItsSlotMarkedAndIsReportedInBothLanguages) {
    node here{"app", quiet(2)};
    supervisor_spec tree;
    tree.add(
        child("space", in_coroutine, actors::space_keeper, std::string{"studio"}, actors::space_options{})
            .awaits_ready());
    ASSERT_TRUE(here.start(std::move(tree)));
    play<watcher_protocol>(here, lose_the_writer);
}

}  // namespace
}  // namespace coppice::tests
