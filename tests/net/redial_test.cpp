// A node dials again the place that it wants a link to, whatever became of the attempt before.
#include <atomic>
#include <memory>

#include "coppice/transport.hpp"
#include "coppice/transport/builtin.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

// What happened to attempts of the kind "deaf". Its first ones hear nothing at all, as if a network swallowed them; later
// ones connect by inproc.
struct attempts {
    static inline std::atomic<int> begun{0};
    static inline std::atomic<int> given_up{0};
    static constexpr int unheard = 2;
};

class unheard_attempt final : public attempt {
public:
    unheard_attempt() = default;
    unheard_attempt(const unheard_attempt&) = delete;
    unheard_attempt& operator=(const unheard_attempt&) = delete;
    ~unheard_attempt() override { ++attempts::given_up; }
};

class deaf_transport final : public transport {
public:
    [[nodiscard]] std::string_view scheme() const noexcept override { return "deaf"; }
    [[nodiscard]] result<std::unique_ptr<listener>> listen(reactor&, const endpoint&,
                                                           accepted_function) const override {
        return error{errc::invalid_argument, "only connects"};
    }
    [[nodiscard]] result<std::unique_ptr<attempt>> connect(reactor& on, const endpoint& where,
                                                           connected_function done) const override {
        if (attempts::begun++ < attempts::unheard)
            return std::unique_ptr<attempt>{std::make_unique<unheard_attempt>()};
        endpoint real = where;
        real.scheme = "inproc";
        return (*find_transport("inproc"))->connect(on, real, std::move(done));
    }
};

struct hello_there {
    using reply = int;
};
using answerer_protocol = protocol<hello_there>;

task<> answerer(actor<answerer_protocol> self) {
    while (auto m = co_await self.receive()) m.match([](request<hello_there> r) { r.reply(7); });
}

TEST(Redial, GivesUpAnAttemptThatHearsNothingAndDialsAgain) {
    register_transport(std::make_shared<deaf_transport>());
    node far{"far", listening_at("inproc://redial", 1)};
    supervisor_spec tree;
    tree.add(child("answerer", in_coroutine, answerer));
    ASSERT_TRUE(far.start(std::move(tree)));
    node near{"near", below("deaf://redial", 1)};
    ASSERT_TRUE(near.start(supervisor_spec{}));
    play(near, [](actor<anything> self) -> task<> {
        auto found = co_await self.resolve<answerer_protocol>("/far/answerer");
        while (!found) found = co_await self.resolve<answerer_protocol>("/far/answerer");
        const auto answer = co_await self.ask<hello_there>(*found);
        REQUIRE_OR_END(answer);
        EXPECT_EQ(*answer, 7);
    });
    EXPECT_EQ(attempts::begun.load(), attempts::unheard + 1);
    EXPECT_EQ(attempts::given_up.load(), attempts::unheard);
}

}  // namespace
}  // namespace coppice::tests
