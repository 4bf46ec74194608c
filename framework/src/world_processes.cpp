// Simulated processes; see world_processes.hpp.
// The world's thread.
#include "world_processes.hpp"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "process/child_process.hpp"
#include "process/portable_child.hpp"

namespace coppice::testing {

namespace {

// Dots in place of slashes: a name for the simulated network.
std::string name_for_network(std::string node) {
    std::replace(node.begin(), node.end(), '/', '.');
    return node;
}

class handle final : public os_process {
public:
    explicit handle(sim_process& p) : process_{p} {}
    ~handle() override { process_.let_go(); }
    handle(const handle&) = delete;
    handle& operator=(const handle&) = delete;
    [[nodiscard]] pid_t id() const noexcept override { return static_cast<pid_t>(process_.pid()); }
    errc send(std::span<const std::byte> record) noexcept override { return process_.send(record); }
    void signal(int number) noexcept override { process_.signal(number); }
    [[nodiscard]] char state() const override { return process_.state(); }

private:
    sim_process& process_;
};

class sim_starter final : public process_starter {
public:
    sim_starter(world::impl& in, sim_node& node) : world_{in}, node_{node} {}
    result<std::unique_ptr<os_process>> start(reactor&, const process_request&,
                                              process_events& events) override {
        if (node_.dying) return error{errc::stopping, "its process is dying"};
        if (world_.chance(world_.faults.failing_starts))
            return error{errc::limit_reached, "the simulated machine has no room for a process"};
        // Numbers that the machine's own processes do not have.
        const auto pid = static_cast<std::uint32_t>(1'000'000'000 + world_.processes.size());
        world_.processes.push_back(std::make_unique<sim_process>(world_, node_, events, pid));
        return std::unique_ptr<os_process>{std::make_unique<handle>(*world_.processes.back())};
    }
    std::string links_over(const std::string& transport) override {
        if (transport.starts_with("sim:")) return transport;
        if (place_.empty())
            place_ =
                "sim://" + name_for_network(node_.core.name) + "-children-" + std::to_string(++world_.places);
        return place_;
    }

private:
    world::impl& world_;
    sim_node& node_;
    std::string place_;
};

}  // namespace

std::unique_ptr<process_starter> make_sim_starter(world::impl& in, sim_node& node) {
    return std::make_unique<sim_starter>(in, node);
}

sim_process::sim_process(world::impl& in, sim_node& parent, process_events& events, std::uint32_t pid)
    : world_{in},
      parent_{&parent},
      events_{&events},
      pid_{pid},
      starts_at_{in.time + in.between(in.faults.least_start, in.faults.most_start)} {}

// ---------------------------------------------------------------- as the parent's

errc sim_process::send(std::span<const std::byte> record) {
    if (phase_ == phase::dead || orphaned_) return errc::closed;
    if (down_.size() >= world_.faults.channel_records) return errc::mailbox_full;
    std::int64_t at = world_.time + world_.between({}, world_.faults.most_delay);
    if (!down_.empty()) at = std::max(at, down_.back().at);
    down_.push_back({at, std::vector<std::byte>{record.begin(), record.end()}});
    return errc::ok;
}

void sim_process::signal(int number) {
    if (phase_ == phase::dead || orphaned_) return;
    switch (number) {
    case SIGKILL: return die({SIGKILL, true, false});
    case SIGCONT: return pause(false);
    case SIGTERM:
        if (is_paused()) {
            term_waits_ = true;
            return;
        }
        if (!node_) return die({SIGTERM, true, false});
        world_.ask_root_to_stop(*node_);
        return;
    default: throw std::logic_error{"the test world knows no such signal"};
    }
}

char sim_process::state() const noexcept { return phase_ == phase::dead ? 'Z' : is_paused() ? 'T' : 'S'; }

void sim_process::let_go() {
    events_ = nullptr;
    if (!orphaned_) die({SIGKILL, true, false});
}

// ---------------------------------------------------------------- as the world's

std::int64_t sim_process::next_deadline() const {
    std::int64_t first = timer_wheel::never;
    if (phase_ != phase::dead && !is_paused()) {
        if (phase_ == phase::starting) first = starts_at_;
        if (phase_ == phase::leaving) first = 0;
        if (watch_) {
            first = std::min(first, watch_->next_look());
            if (!down_.empty()) first = std::min(first, down_.front().at);
        }
    }
    if (events_ && !up_.empty() && !parent_->paused) first = std::min(first, up_.front().at);
    return first;
}

void sim_process::perform() {
    std::vector<void (sim_process::*)()> due;
    if (phase_ != phase::dead && !is_paused()) {
        if (phase_ == phase::starting && starts_at_ <= world_.time) due.push_back(&sim_process::begin);
        if (phase_ == phase::leaving) due.push_back(&sim_process::end_in_order);
        if (watch_ &&
            ((!down_.empty() && down_.front().at <= world_.time) || watch_->next_look() <= world_.time))
            due.push_back(&sim_process::hear);
    }
    if (events_ && !up_.empty() && !parent_->paused && up_.front().at <= world_.time)
        due.push_back(&sim_process::tell_parent);
    if (!due.empty()) (this->*due[world_.random.below(due.size())])();
}

// What the watch's thread does when it is woken.
void sim_process::hear() {
    while (!down_.empty() && down_.front().at <= world_.time) {
        const down_item item = std::move(down_.front());
        down_.pop_front();
        if (item.record) watch_->heard(*item.record);
        else watch_->closed();
    }
    watch_->look();
    if (leaves_with_) die({*leaves_with_, false, false});
}

void sim_process::tell_parent() {
    const up_item item = std::move(up_.front());
    up_.pop_front();
    const scheduler::as_current here{*parent_->active.front()};
    parent_->active.front()->look_at_clock();
    switch (item.kind) {
    case up_item::kinds::record: return events_->record(item.record);
    case up_item::kinds::closed: return events_->channel_closed();
    case up_item::kinds::ended: return std::exchange(events_, nullptr)->ended(item.how);
    }
}

void sim_process::begin() {
    if (orphaned_ || down_.empty()) return gone({static_cast<int>(run_result::start_failed), false, false});
    auto first = decode_channel(*down_.front().record);
    down_.pop_front();
    join_ = std::get<channel_join>(std::move(first->what));
    phase_ = phase::running;
    watch_.emplace(join_, *this);

    const std::string name = join_.path.substr(1);
    network_options network;
    network.parent = join_.endpoint + "?from=" + name_for_network(name);
    network.hold = join_.hold;
    node_ = world_.new_node(name, std::move(network));
    node_core& core = node_->core;
    core.parent_secret = join_.secret;
    core.incarnation_of_root = static_cast<std::uint32_t>(join_.generation);
    core.on_place_for_children = [this](const std::string& place) { say({channel_place{place}}); };
    core.log_upward = [this](level l, std::string_view path, std::string_view text, std::uint32_t pid) {
        say_if_room({channel_log{pid ? pid : pid_, static_cast<std::uint8_t>(l), std::string{path},
                                 std::string{text}, 0}});
    };
    core.options.log_hook = nullptr;  // the root writes
    core.set_level("/", static_cast<level>(join_.level));
    core.on_root_end = [this](exit_reason why) {
        node_->ended = std::move(why);
        if (phase_ == phase::running) phase_ = phase::leaving;
    };
    const auto fail = [&](const error& why) {
        core.on_root_end(exit_reason{exit_kind::not_started, why.what(), join_.path}.coded(why.code()));
    };
    const scheduler::as_current here{*node_->active.front()};
    node_->active.front()->look_at_clock();
    if (auto joined = core.open_network()->start(); !joined) return fail(joined.error());
    auto root = root_of_child(join_, false, {}, core);
    if (!root) return fail(root.error());
    watch_->look_at(&core);
    start_root(core, *std::move(root), [this, &core](const result<address>& outcome) {
        if (outcome) say({channel_ready{join_.generation, core.net->id(), outcome->id()}});
    });
}

void sim_process::end_in_order() {
    watch_->look_at(nullptr);
    say({channel_ended{join_.generation, encode_reason(*node_->ended)}});
    {
        const scheduler::as_current here{*node_->active.front()};
        node_->active.front()->look_at_clock();
        node_->core.processes->close();
        node_->network->stop();
    }
    gone({static_cast<int>(node_->ended->kind() == exit_kind::not_started ? run_result::start_failed
                           : !node_->abandoned.empty()                    ? run_result::abandoned
                           : node_->ended->is_clean()                     ? run_result::ok
                                                                          : run_result::failed),
          false, false});
}

void sim_process::die(process_end how) {
    if (phase_ == phase::dead) return;
    if (node_) world_.end_of_process(*node_);
    gone(how);
}

// The kernel's part.
void sim_process::gone(process_end how) {
    phase_ = phase::dead;
    watch_.reset();
    down_.clear();
    push_up(up_item::kinds::closed, {}, {});
    push_up(up_item::kinds::ended, {}, how);
}

void sim_process::orphan() {
    if (std::exchange(orphaned_, true)) return;
    // The node that was the parent's is dead, too, and is left by its actors: to them the child has ended.
    up_.clear();
    if (events_) {
        up_.push_back({world_.time, up_item::kinds::closed, {}, {}});
        up_.push_back({world_.time, up_item::kinds::ended, {}, {SIGKILL, true, false}});
    }
    if (phase_ == phase::dead) return;
    down_.push_back({world_.time + world_.between({}, world_.faults.most_delay), std::nullopt});
    pause(false);  // PR_SET_PDEATHSIG
}

void sim_process::pause(bool on) {
    if (phase_ == phase::dead) return;
    (node_ ? node_->paused : paused_) = on;
    if (!on && std::exchange(term_waits_, false)) signal(SIGTERM);
}

bool sim_process::say_if_room(channel_record_body r) {
    if (orphaned_ || up_.size() >= world_.faults.channel_records) return false;
    say(std::move(r));
    return true;
}

void sim_process::push_up(up_item::kinds kind, std::vector<std::byte> record, process_end how) {
    if (orphaned_) return;
    std::int64_t at = world_.time + world_.between({}, world_.faults.most_delay);
    if (!up_.empty()) at = std::max(at, up_.back().at);
    up_.push_back({at, kind, std::move(record), how});
}

}  // namespace coppice::testing
