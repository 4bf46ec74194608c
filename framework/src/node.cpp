// node: builds the schedulers, starts the root, waits for its end, and sees that nothing is left.
// Threads: construction, run, wait and destruction belong to one ordinary thread; stop, send, ask, inspect to any.
#include "coppice/node.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <system_error>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <spdlog/common.h>
#include <spdlog/logger.h>

#include "asio_driver.hpp"
#include "cell_ext.hpp"
#include "coppice/deployment.hpp"
#include "log_sink.hpp"
#include "net/router.hpp"
#include "node_core.hpp"
#include "option_table.hpp"
#include "process/child_process.hpp"
#include "process/this_process.hpp"
#include "root.hpp"
#include "service_manager.hpp"

namespace coppice {

namespace {

/// Offload threads, started with the first job.
class offload_pool final : public detail::offloader {
public:
    explicit offload_pool(unsigned threads) : threads_{std::max(threads, 1u)} {}
    ~offload_pool() override {
        if (pool_) pool_->join();
    }
    bool submit(std::function<void()> job) override {
        if (waiting_.fetch_add(1, std::memory_order_relaxed) >= limits::offload_queue) {
            waiting_.fetch_sub(1, std::memory_order_relaxed);
            return false;
        }
        std::call_once(started_, [this] { pool_.emplace(threads_); });
        boost::asio::post(*pool_, [this, job = std::move(job)] {
            waiting_.fetch_sub(1, std::memory_order_relaxed);
            job();
        });
        return true;
    }

private:
    unsigned threads_;
    std::atomic<std::size_t> waiting_{0};
    std::once_flag started_;
    std::optional<boost::asio::thread_pool> pool_;
};

result<void> write_all(int to, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(to, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return error{errc::io, "the tree cannot be told: " + std::generic_category().message(errno)};
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

std::atomic<int> nodes_running{0};

std::int64_t steady_now() noexcept { return std::chrono::steady_clock::now().time_since_epoch().count(); }

}  // namespace

// ---------------------------------------------------------------- the node

struct node::impl {
    detail::node_core& core;
    result<void> options_read;
    detail::options_set set_outside;
    std::size_t own_levels = 0;  // of the log, that the program has set
    std::optional<detail::check_wanted> check;
    boost::asio::io_context* embedded = nullptr;
    std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> embedded_work;
    std::unique_ptr<detail::asio_driver> embedded_driver;
    std::vector<std::unique_ptr<detail::scheduler_thread>> threads;

    std::mutex thread_mutex;  // threads of in_thread actors come and go
    std::vector<std::unique_ptr<detail::scheduler_thread>> own_threads;
    std::vector<std::unique_ptr<detail::scheduler>> spare;

    std::mutex mutex;
    std::condition_variable changed;
    bool running = false;
    bool alone = true;  // no other node was running when this one started
    std::size_t blocks_before = 0;
    std::optional<exit_reason> ended;
    std::vector<std::string> abandoned;
    std::function<void()> on_end;
    std::function<void()> on_stop;
    std::unique_ptr<net::router> network;

    explicit impl(detail::node_core& c) : core{c} {}

    result<detail::scheduler*> new_thread(const detail::node_core::thread_request& request) {
        const std::lock_guard lock{thread_mutex};
        std::unique_ptr<detail::scheduler> used;
        if (!spare.empty()) {
            used = std::move(spare.back());
            spare.pop_back();
        }
        try {
            auto made = std::make_unique<detail::scheduler_thread>(core, request.name, request.priority,
                                                                   std::move(used));
            made->get().own_thread = true;
            if (!made->priority_set()) {
                error why = made->priority_set().error();
                spare.push_back(made->finish());
                return why;
            }
            own_threads.push_back(std::move(made));
            return &own_threads.back()->get();
        } catch (const bad_result& failure) {
            return failure.error();
        } catch (const std::system_error& failure) {
            return error{errc::limit_reached, std::string{"no thread could be made: "} + failure.what()};
        }
    }

    void thread_done(detail::scheduler* s) {
        std::unique_ptr<detail::scheduler_thread> mine;
        {
            const std::lock_guard lock{thread_mutex};
            const auto at = std::find_if(own_threads.begin(), own_threads.end(),
                                         [&](const auto& t) { return &t->get() == s; });
            if (at == own_threads.end()) return;
            mine = std::move(*at);
            own_threads.erase(at);
        }
        auto used = mine->finish();
        const std::lock_guard lock{thread_mutex};
        spare.push_back(std::move(used));
    }

    void root_ended(exit_reason reason) {
        {
            // Told within the lock: whoever learns of the end may be gone at once, with what on_end refers to.
            const std::lock_guard lock{mutex};
            ended = std::move(reason);
            if (on_end) on_end();
        }
        changed.notify_all();
        embedded_work.reset();
    }
};

node::node(std::string name, node_options options)
    : core_{std::make_unique<detail::node_core>()}, impl_{std::make_unique<impl>(*core_)} {
    if (!detail::valid_name(name))
        throw std::invalid_argument{"coppice: a node's name has 1 to 255 bytes, none of / : ? # $: '" + name +
                                    "'"};
    core_->name = std::move(name);
    core_->options = std::move(options);
    impl_->own_levels = core_->options.levels.size();
    impl_->options_read = detail::read_environment(core_->options, impl_->set_outside);
    core_->clock = &steady_now;
    core_->random_state = (std::uint64_t{std::random_device{}()} << 32) ^ std::random_device{}();
}

node::node(std::string name, int& argc, char** argv, node_options options)
    : node{std::move(name), std::move(options)} {
    auto read = detail::read_command_line(core_->options, impl_->set_outside, impl_->check, argc, argv);
    if (impl_->options_read) impl_->options_read = read;
}

node::node(std::string name, boost::asio::io_context& context, node_options options)
    : node{std::move(name), std::move(options)} {
    impl_->embedded = &context;
}

node::node(of_a_child, std::string name, node_options options)
    : core_{std::make_unique<detail::node_core>()}, impl_{std::make_unique<impl>(*core_)} {
    core_->name = std::move(name);
    core_->options = std::move(options);
    core_->clock = &steady_now;
    core_->random_state = (std::uint64_t{std::random_device{}()} << 32) ^ std::random_device{}();
}

result<void> detail::child_life::options_of(const node& n) { return n.impl_->options_read; }

const std::string& node::name() const noexcept { return core_->name; }
std::uint32_t node::scheduler_count() const noexcept {
    return static_cast<std::uint32_t>(core_->index_list.size());
}

result<ref<supervisor_protocol>> node::start(supervisor_spec spec) {
    // Started as a child it would run the whole application again, and that one its children again.
    if (is_child())
        return error{errc::invalid_argument,
                     "this process was started as a process child, but its main starts a node of its own; it "
                     "calls node::run, run_as_child, or run_if_child first (coppice/process.hpp)"};
    auto root =
        start_tree([&](detail::scheduler&) { return supervisor(core_->name, std::move(spec)); }, &spec);
    if (!root) return root.error();
    return ref<supervisor_protocol>{*std::move(root)};
}

result<detail::address> node::start_tree(const make_root& make, supervisor_spec* deployed) {
    impl& me = *impl_;
    if (!me.options_read) return me.options_read.error();
    if (me.running)
        return error{errc::invalid_argument, "this node has been started already; a node runs one tree"};
    if (deployed && !core_->options.deployment.empty())
        if (auto done = detail::deploy(core_->options, me.set_outside, me.own_levels, core_->name, *deployed);
            !done)
            return done.error();
    if (deployed && me.check) {
        if (auto told = write_all(me.check->to, describe_tree(core_->name, *deployed, me.check->form)); !told)
            return told.error();
        return error{errc::stopping, "the tree was only to be told (--coppice-check)"};
    }
    try {
        core_->sink = detail::make_log(core_->options);
    } catch (const spdlog::spdlog_ex& failure) {
        return error{errc::io, std::string{"the log file cannot be opened: "} + failure.what()};
    }
    core_->set_level("/", core_->options.level);
    for (auto& [path, l] : core_->options.levels) core_->set_level(path, l);
    core_->workers = std::make_unique<offload_pool>(core_->options.offload_threads);
    core_->on_root_end = [&me](exit_reason reason) { me.root_ended(std::move(reason)); };
    core_->on_abandoned = [&me](std::string path) {
        const std::lock_guard lock{me.mutex};
        me.abandoned.push_back(std::move(path));
    };
    core_->new_thread = [&me](const auto& request) { return me.new_thread(request); };
    core_->all_schedulers = [&me] {
        std::vector<detail::scheduler*> all = me.core.index_list;
        const std::lock_guard lock{me.thread_mutex};
        for (const auto& t : me.own_threads) all.push_back(&t->get());
        return all;
    };
    core_->thread_done = [&me](detail::scheduler* s) { me.thread_done(s); };
    me.running = true;
    // In a process child a thread that is not the node's uses the pool, too.
    me.alone = nodes_running.fetch_add(1) == 0 && !core_->log_upward;
    me.blocks_before = detail::pool_blocks_in_use();

    auto poll = core_->options.poll;
    if (poll.count() < 0) poll = std::chrono::microseconds{std::thread::hardware_concurrency() > 2 ? 20 : 0};
    if (me.embedded) {
        auto s = std::make_unique<detail::scheduler>(*core_, core_->options.mailbox);
        me.embedded_driver = std::make_unique<detail::asio_driver>(*me.embedded);
        me.embedded_driver->attach(*s);
        s->drive = me.embedded_driver.get();
        s->poll_limit = std::chrono::nanoseconds{poll}.count();
        s->awake = true;
        me.embedded_work.emplace(me.embedded->get_executor());
        core_->schedulers.push_back(std::move(s));
        me.embedded_driver->wake();
    } else {
        std::uint32_t count = core_->options.schedulers;
        if (count == 0) count = std::max(1u, std::thread::hardware_concurrency());
        for (std::uint32_t i = 0; i < count; ++i) {
            auto s = std::make_unique<detail::scheduler>(*core_, core_->options.mailbox);
            s->poll_limit = std::chrono::nanoseconds{poll}.count();  // before its thread runs
            me.threads.push_back(std::make_unique<detail::scheduler_thread>(
                *core_, core_->name + "/" + std::to_string(i), priority::normal, std::move(s)));
            core_->index_list.push_back(&me.threads.back()->get());
        }
    }
    if (me.embedded) core_->index_list.push_back(core_->schedulers.front().get());

    core_->processes = detail::make_process_runner(*core_, detail::make_process_starter());
    core_->open_network = [&me, core = core_.get()]() -> net::router* {
        if (!me.network) {
            me.network =
                std::make_unique<net::router>(*core, *core->index_list.front(), core->options.network);
            core->net = me.network.get();
        }
        return core->net;
    };
    if (core_->options.network.wanted() || core_->options.control) {
        // On the first scheduler's thread, where all of it lives; before the tree, whose actors may look for others at once.
        auto joined = std::make_shared<std::promise<result<void>>>();
        auto outcome = joined->get_future();
        detail::post_control(core_->index_list.front()->index, [joined](detail::scheduler& s) {
            joined->set_value(s.node->open_network()->start());
        });
        if (me.embedded) {
            while (outcome.wait_for(std::chrono::seconds{0}) != std::future_status::ready) {
                if (me.embedded->stopped()) me.embedded->restart();
                me.embedded->run_one();
            }
        }
        if (auto done = outcome.get(); !done) {
            const std::lock_guard lock{me.mutex};
            me.ended = exit_reason{exit_kind::start_failed, done.error().what(), "/" + core_->name};
            return done.error();
        }
    }

    auto told = std::make_shared<std::promise<result<detail::address>>>();
    auto answer = told->get_future();
    const auto tell = [told](result<detail::address> outcome) { told->set_value(std::move(outcome)); };
    if (me.embedded) {  // nobody waits: the spec is made here
        detail::scheduler& first = *core_->index_list.front();
        detail::start_root(*core_, *make(first), tell);
        return detail::address{};
    }
    detail::post_control(core_->index_list.front()->index, [this, &make, tell](detail::scheduler& s) {
        auto root = make(s);
        if (root) return detail::start_root(*core_, *std::move(root), tell);
        impl_->root_ended(exit_reason{exit_kind::not_started, root.error().what(), "/" + core_->name}.coded(
            root.error().code()));
        tell(root.error());
    });
    return answer.get();
}

void node::stop() {
    if (const detail::actor_id root = core_->root.load(std::memory_order_acquire))
        detail::post_control(detail::scheduler_of(root), [root](detail::scheduler& s) {
            if (detail::cell* c = s.find(root)) detail::life::request_stop(c, false);
        });
    const std::lock_guard lock{impl_->mutex};
    if (impl_->on_stop) impl_->on_stop();
}

exit_reason node::wait() {
    impl& me = *impl_;
    if (!me.running) return {};
    if (me.embedded) {
        while (!me.ended) {
            if (me.embedded->stopped()) me.embedded->restart();
            me.embedded->run_one();
        }
    }
    std::unique_lock lock{me.mutex};
    me.changed.wait(lock, [&] { return me.ended.has_value(); });
    return *me.ended;
}

result<exit_reason> node::wait_for(std::chrono::nanoseconds limit) {
    impl& me = *impl_;
    if (!me.running) return exit_reason{};
    if (me.embedded) {
        const auto until = std::chrono::steady_clock::now() + limit;
        while (!me.ended && std::chrono::steady_clock::now() < until) {
            if (me.embedded->stopped()) me.embedded->restart();
            me.embedded->run_one_until(until);
        }
    }
    std::unique_lock lock{me.mutex};
    if (!me.changed.wait_for(lock, limit, [&] { return me.ended.has_value(); })) return errc::timeout;
    return *me.ended;
}

int node::run(supervisor_spec spec) {
    if (is_child()) {
        const child_spec own = supervisor("child", std::move(spec));
        return detail::child_life::run(own, false, impl_->options_read, core_->options);
    }
    return run_tree([&](detail::scheduler&) { return supervisor(core_->name, std::move(spec)); },
                    [](const detail::address&) {}, &spec);
}

namespace {

// Tells the service manager of a root's life. On the thread that runs the io_context.
class service_life {
public:
    service_life(detail::node_core& core, boost::asio::io_context& io) : core_{core}, timer_{io} {}
    void ready() {
        manager_.say("READY=1");
        if (manager_.watchdog()) feed(false);
    }
    void stopping() {
        timer_.cancel();
        manager_.say("STOPPING=1");
    }

private:
    void feed(bool told) {
        const detail::scheduler* still = manager_.feed(
            core_.all_schedulers(), std::chrono::steady_clock::now().time_since_epoch().count());
        if (still && !told) {
            const detail::actor_id who = still->running.load(std::memory_order_relaxed);
            core_.write_log(
                level::warn, "/" + core_.name,
                "the service manager is not told that this process gets on: " +
                    (who ? "the handler of " + detail::address{who, nullptr}.to_string() + " has not returned"
                         : std::string{"a scheduler has not come back to its work"}));
        }
        timer_.expires_after(*manager_.watchdog() / 4);
        timer_.async_wait([this, told = still != nullptr](const boost::system::error_code& failed) {
            if (!failed) feed(told);
        });
    }

    detail::node_core& core_;
    detail::service_manager manager_;
    boost::asio::steady_timer timer_;
};

}  // namespace

int node::run_tree(const make_root& make, const std::function<void(const detail::address&)>& started_well,
                   supervisor_spec* deployed) {
    const auto say = [this](const std::string& text) {
        if (core_->sink) core_->write_log(level::error, "/" + core_->name, text);
        else std::fprintf(stderr, "%s: %s\n", core_->name.c_str(), text.c_str());
    };
    impl& me = *impl_;
    boost::asio::io_context own_context{1};
    boost::asio::io_context& context = me.embedded ? *me.embedded : own_context;
    auto work = boost::asio::make_work_guard(context);
    boost::asio::signal_set signals{context};
    {
        const std::lock_guard lock{me.mutex};
        if (!me.embedded) me.on_end = me.on_stop = [&context] { context.stop(); };
    }
    if (core_->options.handle_signals) {
        // Of the terminal, to the whole group: in a process child it is the root's affair, which ends the tree in order.
        if (!core_->log_upward) signals.add(SIGINT);
        signals.add(SIGTERM);
        signals.async_wait([&](const boost::system::error_code& failure, int) {
            if (failure) return;
            stop();
        });
    }
    std::optional<service_life> service;  // of a root: children are their parents' affair
    if (!core_->log_upward) service.emplace(*core_, context);
    const auto started = start_tree(make, deployed);
    if (started) {
        started_well(*started);
        if (service) service->ready();
    } else if (me.check && started.error().code() == errc::stopping) {
        return static_cast<int>(run_result::ok);
    } else {
        // A check's reader wants the lines of mistakes as they are.
        if (me.check) std::fprintf(stderr, "%s\n", std::string{started.error().text()}.c_str());
        else say("the tree did not start: " + started.error().what());
        return static_cast<int>(started.error().code() == errc::invalid_argument ? run_result::bad_options
                                                                                 : run_result::start_failed);
    }
    if (me.embedded) {
        static_cast<void>(wait());
    } else {
        context.run();
    }
    if (service) service->stopping();
    signals.clear();  // a second signal ends the process in the system's own way
    const auto ended = wait_for(core_->options.shutdown_within);
    const std::unique_ptr<void, std::function<void(void*)>> forget{&me, [&me](void*) {
                                                                       const std::lock_guard lock{me.mutex};
                                                                       me.on_end = me.on_stop = nullptr;
                                                                   }};
    if (!ended) {
        say("the tree did not end within its limit; what is left:");
        for (const actor_info& a : inspect().actors) say(a.path + "  " + a.state);
        return static_cast<int>(run_result::abandoned);
    }
    const exit_reason reason = *ended;
    {
        const std::lock_guard lock{me.mutex};
        if (!me.abandoned.empty()) return static_cast<int>(run_result::abandoned);
    }
    return static_cast<int>(reason.is_clean() ? run_result::ok : run_result::failed);
}

node::~node() {
    impl& me = *impl_;
    if (me.running) {
        bool ended = false;
        {
            const std::lock_guard lock{me.mutex};
            ended = me.ended.has_value();
        }
        if (!ended) {
            stop();
            ended = wait_for(core_->options.shutdown_within).has_value();
        }
        if (me.network) {  // it says farewell, and lets go of its links, on its own thread
            auto gone = std::make_shared<std::promise<void>>();
            auto done = gone->get_future();
            const auto close = [gone, &me](detail::scheduler&) {
                me.core.processes->close();
                me.network->stop();
                gone->set_value();
            };
            if (ended) {
                detail::post_control(core_->index_list.front()->index, close);
                if (me.embedded) {
                    while (done.wait_for(std::chrono::seconds{0}) != std::future_status::ready) {
                        if (me.embedded->stopped()) me.embedded->restart();
                        me.embedded->run_one();
                    }
                }
                done.wait();
            }
        }
        core_->workers
            .reset();  // jobs that run are waited for; their results find closed schedulers or idle ones
        bool left = !ended;
        bool shared_left =
            !ended;  // an actor that was abandoned may hold a shared scheduler's thread, which cannot be joined then
        {
            const std::lock_guard lock{me.mutex};
            if (me.abandoned.size() > me.own_threads.size()) left = shared_left = true;
        }
        for (auto& t : me.own_threads) {  // only what was abandoned, or did not end
            core_->log(level::error, {}, "left behind: the thread of an actor that does not reach an await");
            t->leave_behind();
            left = true;
        }
        me.own_threads.clear();
        std::uint64_t alive = 0;
        for (auto& t : me.threads) {
            if (shared_left) {
                t->leave_behind();
                continue;
            }
            auto s = t->finish();
            alive += s->live;
            core_->schedulers.push_back(std::move(s));
        }
        if (me.embedded && core_->schedulers.size() == 1) {
            core_->schedulers.front()->close();
            me.embedded_driver->detach();
        }
        if (ended && !left && alive != 0) {
            for (auto& s : core_->schedulers)
                for (const std::string& path : detail::living_paths(*s))
                    core_->log(level::error, path, "still alive at the node's end");
            COPPICE_ASSERT(alive == 0, "actors are left at the node's end; the log names them");
        }
        if (!left && me.network) {  // what it still holds is not left, it is about to go
            core_->net = nullptr;
            me.network.reset();
        }
        const bool last = nodes_running.fetch_sub(1) == 1;
        const std::size_t blocks = detail::pool_blocks_in_use();
        const std::size_t expected = me.blocks_before + (core_->held_elsewhere ? core_->held_elsewhere() : 0);
        if (!left && me.alone && last && detail::pool_is_this_threads() && blocks > expected)
            core_->log(
                level::error, "/" + core_->name,
                std::to_string(blocks - expected) +
                    " blocks of frames or messages are left at the node's end: a received message or a "
                    "request is still held somewhere outside its actor");
        if (left) {  // what is left behind still uses it
            static_cast<void>(core_.release());
            static_cast<void>(impl_.release());
        }
    }
}

void node::set_level(std::string subtree, level l) { core_->set_level(std::move(subtree), l); }

bool node::may_block() const noexcept { return detail::scheduler::current() == nullptr; }

void node::run_detached(std::function<task<>(actor<anything>)> body) {
    detail::run_under_root(*core_, std::move(body));
}

result<detail::address> node::find(std::string_view path, const detail::protocol_info* wanted) const {
    if (detail::leads_elsewhere(*core_, path) && core_->index_list.size() && !impl_->embedded) {
        if (!may_block())
            return error{
                errc::deadlock,
                "node::resolve of another node's actor on an actor's thread; use self.resolve there"};
        auto told = std::make_shared<std::promise<result<detail::address>>>();
        auto answer = told->get_future();
        detail::find_far(*core_, std::string{path}, wanted,
                         [told](result<detail::address> found) { told->set_value(std::move(found)); });
        if (answer.wait_for(limits::ask_deadline * 2) != std::future_status::ready)
            return error{errc::timeout, "the first scheduler does not come to an await"};
        return answer.get();
    }
    return detail::find_in(*core_, path, wanted);
}

std::vector<std::string> node::listening() const {
    std::vector<std::string> all;
    if (impl_->network)
        for (const endpoint& e : impl_->network->listening()) all.push_back(e.to_string());
    return all;
}

std::size_t node::publish_envelope(std::string_view group, detail::envelope* e) {
    std::size_t taken = 0;
    if (const auto members = core_->group_table.snapshot(group))
        for (const auto& who : *members)
            if (detail::scheduler::send_from_outside(who, e->type->clone(e, who.id()), core_.get()) ==
                errc::ok)
                ++taken;
    detail::release(e);
    return taken;
}

}  // namespace coppice
