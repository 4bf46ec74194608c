// The actors of the word count; see actors.hpp for the map.
//
// Why the result is exact although counters die all the time: a chunk is asked, not sent, so that its reader hears at once
// when the counter that had it in hand is gone, and hands it out again; and the merger knows chunks by number, so that one
// whose counter died between merging and answering is not added twice.
#include "actors.hpp"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <optional>
#include <stdexcept>

#include <fmt/core.h>

namespace wordcount {

using namespace std::chrono_literals;

// [merger]
task<> merger(actor<merger_protocol> self) {
    tally totals;
    progress so_far;
    std::vector<bool> taken;
    std::optional<std::uint64_t> expected;
    while (auto m = co_await self.receive()) {
        m.match(
            [&](request<merge> r) {
                if (taken.size() <= r->number) taken.resize(r->number + 1);
                if (taken[r->number]) {
                    ++so_far.repeated;
                } else {
                    taken[r->number] = true;
                    totals.add(std::move(r->counted));
                    ++so_far.chunks;
                }
                r.reply();
            },
            [&](const end_of_input& e) { expected = e.chunks; },
            [&](request<get_progress> r) {
                so_far.bytes = totals.bytes;
                so_far.complete = expected == so_far.chunks;
                r.reply(so_far);
            },
            [&](request<get_totals> r) { r.reply(totals); });
    }
}
// [/merger]

// [counter]
task<> counting(actor<counter_protocol> self, bool count_unprintable) {
    auto danger = (co_await self.resolve<saboteur_protocol>("/wordcount/saboteur")).value();
    auto sum = (co_await self.resolve<merger_protocol>("/wordcount/merger")).value();
    while (auto m = co_await self.receive()) {
        auto work = m.take<chunk>();  // dropped unanswered if this actor dies, which its asker then hears
        if (!work) continue;
        auto hint = co_await self.ask<checkpoint>(danger, 1h, work->is_last, ::getpid());
        counter count{count_unprintable};
        const std::string_view text{reinterpret_cast<const char*>(work->text.data()), work->text.size()};
        constexpr std::size_t slice = 64 * 1024;
        for (std::size_t at = 0; at < text.size(); at += slice) {
            count.feed(text.substr(at, slice));
            if (hint && *hint == advice::stumble)
                throw std::runtime_error{"stumbled, half of the chunk counted"};
            co_await self.yield();  // others get their turn, and a kill its chance
        }
        auto merged = co_await self.ask<merge>(sum, 1h, work->number, count.finish());
        if (merged) work.reply();
    }
}
// [/counter]

namespace {

constexpr const char* pools[] = {"counters/coroutines", "counters/shm", "counters/pipe", "counters/tcp"};

}  // namespace

// [saboteur]
task<> saboteur(actor<saboteur_protocol> self, shared_settings with) {
    std::uint64_t seen = 0;
    std::uint64_t attacks = 0;
    while (auto m = co_await self.receive()) {
        if (auto asked = m.take<get_attacks>()) {
            asked.reply(attacks);
            continue;
        }
        auto counter = m.take<checkpoint>();
        if (!counter) continue;
        const bool insist = counter->is_last && attacks < with->least_attacks;
        if (++seen % with->most_attacks_apart != 0 && !insist) {
            counter.reply(advice::go_on);
            continue;
        }
        // The one that asks waits for the answer: its process is there.
        const bool is_process = counter->process != ::getpid();
        switch (attacks++ % (insist ? 2 : 8)) {
        case 0:
        case 4:
            if (is_process) ::kill(counter->process, SIGKILL);
            else self.kill(counter.sender());
            break;
        case 2:  // it hangs, and says nothing: its parent finds that
            if (is_process) ::kill(counter->process, SIGSTOP);
            else counter.reply(advice::stumble);
            break;
        case 6: {  // any one, whatever it is doing
            counter.reply(advice::go_on);
            auto pool = co_await self.resolve<counters_protocol>(pools[self.random() % std::size(pools)]);
            if (!pool) break;
            auto status = co_await self.ask<actors::pool_status>(*pool);
            if (status) self.kill(status->workers[self.random() % status->workers.size()].who);
            break;
        }
        default:  // it dies by an exception of its own
            counter.reply(advice::stumble);
        }
    }
}
// [/saboteur]

namespace {

// Cuts a file into chunks that end at a blank, so that no word is torn. Blocks on the file.
class chunked_file {
public:
    chunked_file(const std::string& path, std::size_t chunk_bytes)
        : path_{path}, size_{chunk_bytes}, file_{path, std::ios::binary} {
        if (!file_) throw std::runtime_error{"cannot open " + path};
    }
    /// Empty at the end.
    blob next() {
        std::string text = std::exchange(rest_, {});
        while (file_) {
            const std::size_t before = text.size();
            text.resize(before + size_);
            file_.read(text.data() + before, static_cast<std::streamsize>(size_));
            text.resize(before + static_cast<std::size_t>(file_.gcount()));
            if (file_.bad()) throw std::runtime_error{"reading " + path_ + " failed"};
            if (!file_) break;
            std::size_t cut = text.size();
            while (cut > before && !is_blank(text[cut - 1])) --cut;
            if (cut == before) continue;  // one long word: read on
            rest_ = text.substr(cut);
            text.resize(cut);
            break;
        }
        return blob{std::move(text)};
    }

private:
    std::string path_;
    std::size_t size_;
    std::ifstream file_;
    std::string rest_;
};

// [deliver]
// Hands one chunk out until it is acknowledged.
task<> deliver(actor<reader_protocol> self, std::vector<ref<counters_protocol>> counters, chunk work) {
    for (auto at = work.number;; ++at) {
        auto acknowledged = co_await self.ask<chunk>(counters[at % counters.size()], 1h, work);
        if (acknowledged) break;
        if (acknowledged.error() == errc::mailbox_full) co_await self.sleep(1ms);
    }
    self.send<delivered>(self.me());
}
// [/deliver]

}  // namespace

// [reader]
task<> reader(actor<reader_protocol> self, shared_settings with) {
    std::vector<ref<counters_protocol>> counters;
    for (const char* pool : pools)
        counters.push_back((co_await self.resolve<counters_protocol>(pool)).value());
    auto sum = (co_await self.resolve<merger_protocol>("merger")).value();
    const std::uint64_t most_under_way =
        (with->coroutines + 3 * with->processes) * 4;  // bounds the memory: so many chunks, whatever is read
    std::uint64_t under_way = 0;
    std::uint64_t chunks = 0;
    blob ahead;  // read, not handed out: it may be the last

    for (const std::string& path : with->files) {
        chunked_file file{path, with->chunk_bytes};
        for (blob text = file.next(); !text.empty(); text = file.next()) {
            std::swap(text, ahead);
            if (text.empty()) continue;
            while (under_way >= most_under_way) {
                if (!co_await self.receive()) co_return;
                --under_way;
            }
            self.spawn_task(deliver(self, counters, chunk{chunks++, false, std::move(text)}));
            ++under_way;
        }
    }
    if (!ahead.empty()) self.spawn_task(deliver(self, counters, chunk{chunks++, true, std::move(ahead)}));
    self.send<end_of_input>(sum, chunks);
    while (co_await self.receive()) {
    }  // its tasks go on until it is asked to end
}
// [/reader]

namespace {

void write_report(const settings& with, const tally& totals, std::uint64_t restarts) {
    if (with.report_file.empty()) return;
    std::ofstream file{with.report_file, std::ios::binary};
    file << totals.lines << ' ' << totals.words << ' ' << totals.bytes << ' ' << restarts << '\n';
    for (const auto& [word, times] : most_frequent(totals.frequency, 10))
        file << times << ' ' << word << '\n';
    if (!file.flush()) throw std::runtime_error{"cannot write " + with.report_file};
}

void show(const std::string& line, bool replace) {
    fmt::print("{}{}{}", replace ? "\r\033[K" : "", line, replace ? "" : "\n");
    std::fflush(stdout);
}

task<std::uint64_t> restarts_of(actor<reporter_protocol> self) {
    std::uint64_t sum = 0;
    for (const char* path : pools) {
        auto pool = co_await self.resolve<counters_protocol>(path);
        if (!pool) continue;
        auto status = co_await self.ask<actors::pool_status>(*pool);
        if (status)
            for (const auto& each : status->workers) sum += each.restarts;
    }
    co_return sum;
}

}  // namespace

// [reporter]
task<> reporter(actor<reporter_protocol> self, shared_settings with, node* app) {
    auto sum = (co_await self.resolve<merger_protocol>("merger")).value();
    auto danger = (co_await self.resolve<saboteur_protocol>("saboteur")).value();
    bool tree_shown = false;
    std::uint64_t told = 0;  // tenths
    progress now;
    self.send_every<look>(100ms);
    while (!now.complete) {
        if (!co_await self.receive()) co_return;
        now = (co_await self.ask<get_progress>(sum)).value();
        const double share =
            with->total_bytes ? static_cast<double>(now.bytes) / static_cast<double>(with->total_bytes) : 1;
        if (!tree_shown && (share > 0.3 || now.complete)) {
            tree_shown = true;
            // inspect() waits for all schedulers: not on one of them.
            const std::string picture = co_await self.offload([app] { return app->inspect().tree(); });
            show((with->terminal ? "\r\033[K" : "") + std::string{"the tree while it runs:\n"} + picture,
                 false);
        }
        const auto tenths = static_cast<std::uint64_t>(share * 10);
        if (!with->terminal && tenths == told && !now.complete) continue;
        told = tenths;
        auto attacks = co_await self.ask<get_attacks>(danger);
        show(fmt::format("{:3.0f} %  {} chunks, {} attacks survived", share * 100, now.chunks,
                         attacks.value()),
             with->terminal);
    }
    if (with->terminal) fmt::print("\n");

    const tally totals = (co_await self.ask<get_totals>(sum, 60s)).value();
    const std::uint64_t restarts = co_await restarts_of(self);
    fmt::print("\n{} lines, {} words, {} bytes in {} files\n", totals.lines, totals.words, totals.bytes,
               with->files.size());
    for (const auto& [word, times] : most_frequent(totals.frequency, 10))
        fmt::print("{:>10} {}\n", times, word);
    fmt::print(
        "{} counters were killed and restarted; {} chunks came to the merger twice and were added once\n\n",
        restarts, now.repeated);
    std::fflush(stdout);
    write_report(*with, totals, restarts);
}
// [/reporter]

// [tree]
supervisor_spec tree(shared_settings with, node* app) {
    const auto pool = [&with](std::string name, std::uint32_t workers, carrier how) {
        // The sabotage is wanted: no number of restarts means that something is wrong.
        actors::pool_options options{
            .workers = workers, .route = actors::round_robin, .restarts = 1'000'000, .window = 1s};
        return child(std::move(name), in_coroutine, actors::pool<counter_protocol>, options,
                     child("counter", std::move(how), counting, with->count_unprintable)
                         .mailbox(4)
                         .heartbeat(100ms, 4))
            .awaits_ready(60s);
    };
    supervisor_spec counters;
    counters.add(pool("coroutines", with->coroutines, spread));
    for (const std::string transport : {"shm", "pipe", "tcp"})
        counters.add(pool(transport, with->processes, in_process.over(transport)));
    supervisor_spec spec{strategy::rest_for_one};
    spec.add(child("merger", in_coroutine, merger))
        .add(child("saboteur", in_coroutine, saboteur, with))
        .add(supervisor("counters", counters))
        .add(child("reporter", in_coroutine, reporter, with, app).restarts(restart::temporary).significant())
        .add(child("reader", in_thread, reader, with).restarts(restart::temporary).significant());
    return spec;
}
// [/tree]

}  // namespace wordcount
