// A gibibyte from one process to another, as a stream of messages: all of it arrives, in order and unharmed, and neither
// side ever holds more than a small part of it.
#include <sys/resource.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "net/crc32c.hpp"
#include "peers.hpp"

namespace coppice::tests::processes {
namespace {

constexpr std::uint64_t whole = slow_build ? std::uint64_t{64} << 20 : std::uint64_t{1} << 30;
constexpr std::size_t chunk_bytes = 256 * 1024;
constexpr std::uint64_t chunks = whole / chunk_bytes;

struct chunk {
    std::uint64_t number = 0;
    std::vector<std::uint64_t> words;
};
struct total {
    using reply = std::uint64_t;  // how many have come << 32 | checksum of all
};
using store_protocol = protocol<chunk, total>;

std::vector<std::uint64_t> words_of(std::uint64_t number) {
    std::vector<std::uint64_t> words(chunk_bytes / 8);
    std::uint64_t x = number * 0x9e3779b97f4a7c15ull + 1;
    for (std::uint64_t& w : words) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        w = x;
    }
    return words;
}

std::uint32_t checksum(std::uint32_t before, const std::vector<std::uint64_t>& words) {
    return net::crc32c(before, words.data(), words.size() * 8);
}

// Of this process, since it began, in MiB.
std::uint64_t most_memory() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return static_cast<std::uint64_t>(used.ru_maxrss) / 1024;
}

task<> store(actor<store_protocol> self) {
    std::uint64_t next = 0;
    std::uint32_t sum = 0;
    while (auto m = co_await self.receive())
        m.match(
            [&](const chunk& c) {
                if (c.number != next++ || c.words.size() != chunk_bytes / 8) complain("not the next chunk");
                sum = checksum(sum, c.words);
            },
            [&](request<total> r) { r.reply(next << 32 | sum); });
}

struct large_options {
    std::string listen, parent;
};

node_options options_of(const large_options& with) {
    node_options o = quiet(2);
    o.network.hold = 10min;
    if (!with.listen.empty()) o.network.listen = {with.listen};
    o.network.parent = with.parent;
    return o;
}

// LISTEN, BOARD.
int run_store() {
    const shared<board> seen{word("BOARD")};
    common = &*seen;
    mine = &seen->of[0];
    node here{"store", options_of({word("LISTEN"), {}})};
    if (!here.start(supervisor_spec{}.add(child("all", on(1, 2), store)))) return 1;
    mine->up = 1;
    const std::uint64_t before = most_memory();
    await_that([] { return common->end.load(); });
    mine->sent = most_memory() - before;  // the mebibytes that it took
    here.stop();
    here.wait();
    return 0;
}
const bool store_role = add_role("store", run_store);

class O9 : public Processes {};

TEST_P(O9, AGibibyteIsStreamedBetweenTwoProcessesInConstantMemory) {
    process other{"store", {{"LISTEN", uri_}, {"BOARD", board_.handle()}}};
    await_that([&] { return of(0).up == 1; });
    node here{"source", options_of({{}, uri_})};
    ASSERT_TRUE(here.start(supervisor_spec{}));
    const std::uint64_t before = most_memory();
    std::uint32_t sum = 0;
    std::uint64_t got = 0;
    play(
        here,
        [](actor<anything> self, std::uint32_t* expected, std::uint64_t* answer) -> task<> {
            result<ref<store_protocol>> to = errc::timeout;
            while (!(to = co_await self.resolve<store_protocol>("/store/all"))) co_await self.sleep(5ms);
            for (std::uint64_t n = 0; n < chunks; ++n) {
                auto words = words_of(n);
                *expected = checksum(*expected, words);
                EXPECT_EQ(co_await self.send_wait<chunk>(*to, n, std::move(words)), errc::ok);
            }
            auto total_there = co_await self.ask<total>(*to, 300s);
            REQUIRE_OR_END(total_there);
            *answer = *total_there;
        },
        &sum, &got);
    EXPECT_EQ(got >> 32, chunks);
    EXPECT_EQ(static_cast<std::uint32_t>(got), sum);
    const std::uint64_t here_took = most_memory() - before;
    here.stop();
    here.wait();
    board_->end = true;
    EXPECT_EQ(other.wait(), 0);
    EXPECT_EQ(of(0).wrong, 0u);
    std::printf("%llu MiB took %llu MiB of the source's memory, %llu MiB of the store's\n",
                static_cast<unsigned long long>(whole >> 20), static_cast<unsigned long long>(here_took),
                static_cast<unsigned long long>(of(0).sent));
    if (!slow_build) {  // sanitizers keep what was freed
        EXPECT_LT(here_took, 192u);
        EXPECT_LT(of(0).sent, 192u);
    }
}

INSTANTIATE_TEST_SUITE_P(Over, O9, ::testing::Values("unix", "tcp", "shm"),
                         [](const auto& one) { return std::string{one.param}; });

}  // namespace
}  // namespace coppice::tests::processes
