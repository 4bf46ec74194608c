// Pages as principals (docs/rights.md): what a role lets do who shows a token of the port, over a real WebSocket, by Node.js with the
// package coppice-browser; and what is counted of it. The pages' parts stand in tests/actors/browser/peer.mjs.
#include <gmock/gmock.h>

#include "browser_rig.hpp"
#include "support/web_client.hpp"

namespace coppice::tests {
namespace {

using ::testing::HasSubstr;

class BrowserRights : public browser_rig {
protected:
    BrowserRights() : browser_rig{with_roles()} {}
    static node_options with_roles() {
        node_options o = quiet();
        o.network.rights = *parse_rights("role kiosk\n"
                                         "who token:kiosk\n"
                                         "may ask,send /app/*\n"
                                         "may join talk\n"
                                         "never ask,send /app/mortal\n"
                                         "never ask /app/judge\n");
        return o;
    }
    static browser::host_options with_tokens() {
        browser::host_options o = friendly();
        o.at.tokens = {{"kiosk", "the kiosk's secret"}, {"stray", "a secret of no role"}};
        return o;
    }
    std::uint64_t denied() {
        std::uint64_t count = 0;
        for (const auto& [why, n] : app_.inspect().dead_letter_reasons)
            if (why == errc::denied) count += n;
        return count;
    }
};

TEST_F(BrowserRights, APageMayDoWhatTheRoleOfItsTokenAllowsAndIsToldTheRuleElse) {
    start(with_tokens());
    const auto kiosk = page("kiosk", {"the%20kiosk's%20secret"});
    judge_->wait(value{"hello"});
    judge_->wait(value{"done"});
    EXPECT_EQ(kiosk->wait(), 0);
    EXPECT_EQ(denied(), 5u) << "what the host's lists refuse is none of the node's rights";
}

TEST_F(BrowserRights, APageMayDoNothingWhereThereAreRolesAndNoneIsItsOwn) {
    start(with_tokens());
    EXPECT_EQ(page("unknown", {"a%20secret%20of%20no%20role"})->wait(), 0);
    EXPECT_EQ(denied(), 3u);
    // Where the port asks for a token, no other comes in.
    web_client none{port_};
    EXPECT_THAT(none.shake_hands(), HasSubstr(" 401 "));
    web_client wrong{port_};
    EXPECT_THAT(wrong.shake_hands("/?token=guessed"), HasSubstr(" 401 "));
}

TEST_F(BrowserRights, APageWithoutATokenHasTheRoleOfAnyoneAtMost) {
    start(friendly());
    EXPECT_EQ(page("unknown")->wait(), 0);
    EXPECT_EQ(denied(), 3u);
}

}  // namespace
}  // namespace coppice::tests
