// Rights over real links: what a stranger shows over each transport, and that a process child, to which it is not linked itself, judges it by its
// parent's rights.
#include <fstream>

#include "process_actors.hpp"

namespace coppice::tests::carried {

namespace {

constexpr const char* secret_of_tree = "the secret of the tree";
constexpr const char* secret_of_role = "the secret of partners";

// A worker with another one below it, "egg".
task<> nest(actor<worker_protocol> self, std::uint64_t value) {
    const auto egg = co_await self.start(child("egg", in_coroutine, worker, value + 1));
    if (!egg) self.fail("no egg: {}", egg.error().what());
    co_await worker(self, value);
}

class Rights : public InProcess {
protected:
    Rights() { std::ofstream{files_.path("secret")} << secret_of_role << "\n"; }
    [[nodiscard]] bool by_user() const { return GetParam() == "unix" || GetParam() == "shm"; }
    // What a partner shows that no other has.
    [[nodiscard]] std::string principal() const {
        if (by_user()) return "who uid:" + std::to_string(::geteuid()) + "\n";
        if (GetParam() == "tls") return "who certificate:partner.*\n";
        return "who name:partner\nsecret-file " + files_.path("secret") + "\n";
    }
    [[nodiscard]] std::string endpoint(const std::string& name_of_certificate) const {
        if (GetParam() == "tcp") return "tcp://127.0.0.1:0";
        if (GetParam() == "tls")
            return "tls://127.0.0.1:0?" +
                   ca_.issue(name_of_certificate, {.name = name_of_certificate, .address = "127.0.0.1"})
                       .options();
        return GetParam() + "://rights-" + std::to_string(::getpid());
    }
    [[nodiscard]] node_options of_tree(const std::string& rules) const {
        node_options o = listening_at(endpoint("node.test"));
        if (GetParam() == "tcp" || GetParam() == "pipe") o.network.secret = secret_of_tree;
        o.network.rights = *parse_rights("role partner\n" + principal() + rules);
        return o;
    }
    // Linked to that node as a partner is.
    [[nodiscard]] node_options of_partner(const node& app) const {
        std::string at = app.listening().front();
        if (GetParam() == "tls")
            at = at.substr(0, at.find('?')) + "?" +
                 ca_.issue("partner", {.name = "partner.example", .address = "127.0.0.1"}).options();
        node_options o = below(at);
        if (GetParam() == "tcp" || GetParam() == "pipe") o.network.secret = secret_of_role;
        return o;
    }
    own_directory files_;
    certificate_authority ca_{files_.path(), "links"};
};
INSTANTIATE_TEST_SUITE_P(Over, Rights, transports(), name_of_transport);

TEST_P(Rights, AStrangerIsJudgedByWhatItShowsAlsoInAProcessOfTheTree) {
    supervisor_spec tree;
    tree.add(child("nest", carrier(), nest, std::uint64_t{6}));
    tree.add(child("hidden", in_coroutine, worker, std::uint64_t{8}));
    node app{"app", of_tree("may ask /app/nest/egg\nmay transit /app/nest\n")};
    const auto started = app.start(tree);
    ASSERT_TRUE(started) << started.error().what();
    node partner{"partner", of_partner(app)};
    const auto joined = partner.start({});
    ASSERT_TRUE(joined) << joined.error().what();
    play(partner, [](actor<anything> self) -> task<> {
        const auto there = co_await self.resolve<worker_protocol>("/app/nest/egg");
        REQUIRE_OR_END(there);
        const auto value = co_await self.ask<get>(*there, 20s);
        REQUIRE_OR_END(value);
        EXPECT_EQ(*value, 7u);
        self.send<add>(*there, std::uint64_t{1});  // not its right: nothing is added
        const auto again = co_await self.ask<get>(*there, 20s);
        REQUIRE_OR_END(again);
        EXPECT_EQ(*again, 7u);
        self.monitor(*there);
        EXPECT_EQ((co_await next_down(self)).code(), errc::denied);
        const auto hidden = co_await self.resolve<worker_protocol>("/app/hidden");
        EXPECT_FALSE(hidden);
        EXPECT_EQ(hidden.error().code(), errc::denied);
    });
    play(app, [](actor<anything> self) -> task<> {
        const auto there = co_await self.resolve<worker_protocol>("/app/nest/egg");
        REQUIRE_OR_END(there);
        const auto value = co_await self.ask<get>(*there, 20s);
        EXPECT_TRUE(value && *value == 7u);
    });
}

TEST_P(Rights, WithoutTransitAProcessChildIsOutOfReach) {
    supervisor_spec tree;
    tree.add(child("nest", carrier(), nest, std::uint64_t{6}));
    node app{"app", of_tree("may all /app/**\nnever transit **\n")};
    ASSERT_TRUE(app.start(tree));
    node partner{"partner", of_partner(app)};
    ASSERT_TRUE(partner.start({}));
    play(partner, [](actor<anything> self) -> task<> {
        const auto there = co_await self.resolve<worker_protocol>("/app/nest/egg");
        REQUIRE_OR_END(there);
        const auto value = co_await self.ask<get>(*there, 20s);
        EXPECT_FALSE(value);
        EXPECT_EQ(value.error().code(), errc::denied);
    });
}

// Where neither the operating system nor a certificate tells who it is.
class RightsByName : public Rights {};
INSTANTIATE_TEST_SUITE_P(Over, RightsByName, ::testing::Values("pipe", "tcp"), name_of_transport);

// A name is what anybody can say of itself.
TEST_P(RightsByName, WhoHasOnlyTheNameOfARoleDoesNotHaveIt) {
    node app{"app", of_tree("may all **\n")};
    ASSERT_TRUE(app.start({}));
    node_options o = of_partner(app);
    o.network.secret = secret_of_tree;  // a node of the tree, which is no partner
    node partner{"partner", std::move(o)};
    ASSERT_TRUE(partner.start({}));
    play(partner, [](actor<anything> self) -> task<> {
        const auto found = co_await self.resolve<worker_protocol>("/app/anything");
        EXPECT_EQ(found.error().code(), errc::wrong_secret);
    });
}

TEST(RightsOfANode, ASecretFileThatIsNotThereIsToldAtTheStart) {
    node_options o = listening_at("tcp://127.0.0.1:0");
    o.network.secret = secret_of_tree;
    o.network.rights = *parse_rights("role partner\nwho name:partner\nsecret-file /nowhere/secret\n");
    node app{"app", std::move(o)};
    const auto started = app.start({});
    ASSERT_FALSE(started);
    EXPECT_THAT(std::string{started.error().text()},
                ::testing::HasSubstr("secret-file of role partner: /nowhere/secret"));
}

}  // namespace

}  // namespace coppice::tests::carried
