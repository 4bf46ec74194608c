// Memory of a shm link that changes under two nodes: what was damaged is found by its checksum, never delivered, and sent again.
// The damage is done by the test itself, in the mapping that the two nodes of this process have of their segment, while the
// receiving node is held up between what was published and its look at it.
#include <fcntl.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "coppice/transport/builtin.hpp"
#include "support/play.hpp"
#include "support/shm_rig.hpp"

namespace coppice::tests {
namespace {

struct note {
    std::uint64_t number = 0;
    std::string text;
};
struct notes {
    using reply = std::uint64_t;  // how many came
};
using sink_protocol = protocol<note, notes>;

// Not to be found anywhere but in the note of that number.
std::string text_of_note(std::uint64_t number) {
    std::string text = "note number " + std::to_string(number) + " of those that are damaged: ";
    std::uint64_t random = number + 1;
    while (text.size() < 200) text += static_cast<char>('a' + next_random(random) % 26);
    return text;
}

task<> sink(actor<sink_protocol> self) {
    std::uint64_t came = 0;
    while (auto m = co_await self.receive())
        m.match(
            [&](const note& n) {
                EXPECT_EQ(n.number, came);
                EXPECT_EQ(n.text, text_of_note(n.number));
                ++came;
            },
            [&](request<notes> r) { r.reply(came); });
}

// Holds a node's first scheduler, the one of its links, from one call to the other.
class gate {
public:
    void hold() {
        std::unique_lock lock{mutex_};
        closed_ = true;
        changed_.notify_all();
        changed_.wait(lock, [&] { return !closed_; });
    }
    void wait_until_held() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return closed_; });
    }
    void open() {
        const std::lock_guard lock{mutex_};
        closed_ = false;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool closed_ = false;
};

struct hold_up {};
using holder_protocol = protocol<hold_up>;
task<> holder(actor<holder_protocol> self, std::shared_ptr<gate> by) {
    while (co_await self.receive()) by->hold();
}

// What this process has mapped of shm segments, seen through the system: no thread of it notices.
class mapped_segments {
public:
    mapped_segments() : memory_{::open("/proc/self/mem", O_RDWR | O_CLOEXEC)} { EXPECT_GE(memory_, 0); }
    ~mapped_segments() { ::close(memory_); }
    mapped_segments(const mapped_segments&) = delete;
    mapped_segments& operator=(const mapped_segments&) = delete;

    // Where these bytes are for the first time; 0: nowhere.
    [[nodiscard]] std::uint64_t find(std::string_view bytes) const {
        std::ifstream maps{"/proc/self/maps"};
        for (std::string line; std::getline(maps, line);) {
            unsigned long long from = 0;
            unsigned long long to = 0;
            if (line.find("coppice-shm") == std::string::npos || line.find(" rw") == std::string::npos ||
                std::sscanf(line.c_str(), "%llx-%llx", &from, &to) != 2)
                continue;
            std::string seen(to - from, '\0');
            if (::pread(memory_, seen.data(), seen.size(), static_cast<off_t>(from)) !=
                static_cast<ssize_t>(seen.size()))
                continue;
            if (const auto at = seen.find(bytes); at != std::string::npos) return from + at;
        }
        return 0;
    }
    void flip(std::uint64_t byte, unsigned bit) const {
        char one = 0;
        ASSERT_EQ(::pread(memory_, &one, 1, static_cast<off_t>(byte)), 1);
        one = static_cast<char>(one ^ (1 << bit));
        ASSERT_EQ(::pwrite(memory_, &one, 1, static_cast<off_t>(byte)), 1);
    }

private:
    int memory_;
};

class counted_log {
public:
    explicit counted_log(std::string what) : what_{std::move(what)} {}
    void listen_to(node_options& o) {
        o.level = level::info;
        o.log_hook = [this](level, std::string_view, std::string_view line) {
            const std::lock_guard lock{mutex_};
            lines_ += line.find(what_) != std::string_view::npos;
            changed_.notify_all();
        };
    }
    void wait_for(std::uint64_t lines) {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return lines_ >= lines; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string what_;
    std::uint64_t lines_ = 0;
};

TEST(S10, AFlippedBitInTheSegmentBetweenTwoNodesIsDetectedAndTheMessageArrivesAsItWasSentAndOnce) {
    const own_run_directory here;
    counted_log damage{"what is no frame"};
    const auto held = std::make_shared<gate>();
    node_options o = quiet(2);
    o.network.listen = {"shm://above?checksum=all"};
    damage.listen_to(o);
    node above{"above", o};
    ASSERT_TRUE(above.start(
        supervisor_spec{}.add(child("sink", on(1, 2), sink)).add(child("holder", on(0, 2), holder, held))));
    o = quiet(2);
    o.network.parent = "shm://above?checksum=all";
    node below{"below", o};
    ASSERT_TRUE(below.start(supervisor_spec{}));
    const auto to = below.resolve<sink_protocol>("/above/sink");
    const auto holds = above.resolve<holder_protocol>("/above/holder");
    ASSERT_TRUE(to) << to.error().what();
    ASSERT_TRUE(holds);

    const mapped_segments segments;
    std::uint64_t random = 2026;
    constexpr std::uint64_t rounds = 60;
    for (std::uint64_t n = 0; n < rounds; ++n) {
        ASSERT_EQ(above.send<hold_up>(*holds), errc::ok);
        held->wait_until_held();
        ASSERT_EQ(below.send<note>(*to, n, text_of_note(n)), errc::ok);
        std::uint64_t at = 0;
        while (!(at = segments.find(text_of_note(n)))) std::this_thread::yield();
        ASSERT_EQ(below.inspect(60s).name, "below");  // it has come back from writing: sealed, and published
        // In the text, or in the record's beginning and the envelope before it.
        const std::uint64_t byte = n % 4 == 3 ? at - 1 - next_random(random) % 48
                                              : at + next_random(random) % text_of_note(n).size();
        segments.flip(byte, static_cast<unsigned>(next_random(random) % 8));
        held->open();
        damage.wait_for(n + 1);
        std::uint64_t came = 0;
        while (came <= n) {  // the answer to another sender may overtake the note
            const auto answer = below.ask<notes>(*to, 60s);
            ASSERT_TRUE(answer) << answer.error().what();
            came = *answer;
        }
        ASSERT_EQ(came, n + 1);
    }
}

}  // namespace
}  // namespace coppice::tests
