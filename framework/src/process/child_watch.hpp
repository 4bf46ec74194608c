// What a process child does about its parent, and tells it about itself: signs of life both ways, whose handlers do not return, a
// parent that is silent or gone. It ends the actors in order then, and the process if they do not end in time. Apart from how
// records come and who calls it when: a thread of the process (this_process.cpp), or the test world.
//
//     heard(), closed() ──┐
//     look(), when due ───┴─► say a record · tell a finding · ask the root to stop · leave()
//
// One call at a time; look_at() may be called by another thread than the others, under the lock that the caller has for it.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "process/channel.hpp"
#include "scheduler_progress.hpp"

namespace coppice::detail {

struct node_core;

class child_watch {
public:
    /// The process that it is in.
    class surroundings {
    public:
        virtual ~surroundings() = default;
        /// Nanoseconds, steady.
        virtual std::int64_t now() = 0;
        /// False if the parent has no room for it, or is gone.
        virtual bool say_if_room(channel_record_body r) = 0;
        /// All of its threads have ended.
        virtual bool parent_has_ended() = 0;
        /// As the system says: a letter of proc(5).
        virtual char state_of_parent() = 0;
        /// Ends the process at once, with that exit code.
        virtual void leave(int code) = 0;
    };

    child_watch(const channel_join& join, surroundings& in);

    /// From now on it looks at that node's schedulers; null: at none any more.
    void look_at(node_core* node) noexcept { running_ = node; }
    /// Does what is due. Again at next_look() at the latest.
    void look();
    [[nodiscard]] std::int64_t next_look() const noexcept { return next_look_; }
    /// Nothing comes from the parent any more.
    [[nodiscard]] bool is_parent_gone() const noexcept { return parent_gone_; }

    /// A record of the parent's.
    void heard(std::span<const std::byte> record);
    /// The channel was closed from the other side.
    void closed();

private:
    [[nodiscard]] std::int64_t period() const noexcept;
    [[nodiscard]] std::int64_t patience() const noexcept { return join_.period.count() * join_.misses; }
    [[nodiscard]] std::string parent_path() const { return join_.path.substr(0, join_.path.rfind('/')); }
    void beat(std::int64_t at);
    void pass_on_stop();
    void parent_is_silent(std::int64_t at);

    const channel_join& join_;
    surroundings& in_;
    node_core* running_ = nullptr;          // once its schedulers may be looked at
    std::vector<scheduler_progress> seen_;  // by scheduler
    std::uint64_t number_ = 0;
    std::int64_t next_beat_;
    std::int64_t next_look_;
    std::int64_t heard_at_;
    bool parent_silent_ = false;
    bool parent_gone_ = false;
    std::int64_t closed_at_ = 0;  // the channel was, by the parent's end
    bool cleared_ = false;        // what the parent left
    std::int64_t leave_at_ = 0;
    bool stop_wanted_ = false;
    bool drain_ = false;
};

}  // namespace coppice::detail
