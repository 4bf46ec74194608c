// Process children in the test world: each a node of its own name, with the watch and the channel that a real one has, started,
// stopped, killed and reaped in virtual time. What a parent and a child do is the framework's own code (process/child_process.cpp,
// process/child_watch.cpp); simulated are posix_spawn, the channel, signals, and the kernel's notice of an end.
// The world's thread.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "process/channel.hpp"
#include "process/child_watch.hpp"
#include "process/os_process.hpp"
#include "world_impl.hpp"

namespace coppice::testing {

class sim_process final : public child_watch::surroundings {
public:
    /// The parent is told by `events` until it lets go.
    sim_process(world::impl& in, sim_node& parent, process_events& events, std::uint32_t pid);

    // ---- as the parent's os_process
    [[nodiscard]] std::uint32_t pid() const noexcept { return pid_; }
    errc send(std::span<const std::byte> record);
    void signal(int number);
    [[nodiscard]] char state() const noexcept;
    /// No event comes any more; it is killed.
    void let_go();

    // ---- as the world's
    [[nodiscard]] sim_node* node() const noexcept { return node_; }
    [[nodiscard]] const sim_node* parent() const noexcept { return parent_; }
    [[nodiscard]] bool is_dead() const noexcept { return phase_ == phase::dead; }
    /// When something of it is due; timer_wheel::never: nothing.
    [[nodiscard]] std::int64_t next_deadline() const;
    /// Does one thing that is due.
    void perform();
    /// Its process ends at once.
    void die(process_end how);
    /// Its parent's process has ended.
    void orphan();
    void pause(bool on);

private:
    enum class phase : std::uint8_t { starting, running, leaving, dead };
    struct down_item {
        std::int64_t at;
        std::optional<std::vector<std::byte>> record;  // none: the channel is closed
    };
    struct up_item {
        enum class kinds : std::uint8_t { record, closed, ended };
        std::int64_t at;
        kinds kind;
        std::vector<std::byte> record;
        process_end how;
    };

    // ---- surroundings
    std::int64_t now() override { return world_.time; }
    bool say_if_room(channel_record_body r) override;
    bool parent_has_ended() override { return orphaned_; }
    char state_of_parent() override { return orphaned_ ? 'X' : parent_->paused ? 'T' : 'S'; }
    void leave(int code) override { leaves_with_ = code; }

    [[nodiscard]] bool is_paused() const noexcept { return node_ ? node_->paused : paused_; }
    void begin();
    void end_in_order();
    void hear();
    void tell_parent();
    void say(channel_record_body r) { push_up(up_item::kinds::record, encode_channel(std::move(r)), {}); }
    void push_up(up_item::kinds kind, std::vector<std::byte> record, process_end how);
    void gone(process_end how);

    world::impl& world_;
    sim_node* parent_;
    process_events* events_;
    std::uint32_t pid_;
    phase phase_ = phase::starting;
    bool paused_ = false;  // by a signal, before it has a node
    bool orphaned_ = false;
    bool term_waits_ = false;  // SIGTERM came while it was stopped
    std::int64_t starts_at_;
    sim_node* node_ = nullptr;
    channel_join join_;
    std::optional<child_watch> watch_;
    std::optional<int> leaves_with_;
    std::deque<down_item> down_;
    std::deque<up_item> up_;
};

/// What starts the processes of a node.
std::unique_ptr<process_starter> make_sim_starter(world::impl& in, sim_node& node);

}  // namespace coppice::testing
