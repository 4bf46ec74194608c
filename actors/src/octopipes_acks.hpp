// pending_acks: who waits for which ACK, of one sender. An ACK of ours carries the id of the frame that it is for; one of a
// published library is empty, and is taken for the oldest frame to whoever has sent it. One thread, the owner's.
#pragma once
#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <utility>

#include "coppice/actors/octopipes.hpp"

namespace coppice::actors::octopipes::parts {

class pending_acks {
public:
    using clock = std::chrono::steady_clock;

    void add(std::uint64_t id, std::string to, std::uint32_t receivers, std::chrono::nanoseconds within,
             request<publish> asker) {
        // Kept in range: a wait of years is one for ever.
        const auto limit = std::min<std::chrono::nanoseconds>(within, std::chrono::hours{24 * 365});
        waiting_.push_back({id, std::move(to), receivers, clock::now() + limit, std::move(asker)});
    }
    /// No further one is added then.
    [[nodiscard]] bool full() const noexcept { return waiting_.size() >= most_awaited_acks; }
    [[nodiscard]] static error too_many() {
        return {errc::limit_reached, "most_awaited_acks frames of this sender wait for their ACKs"};
    }
    /// False: nobody waits for it.
    bool settle(const frame& ack) {
        std::uint64_t id = 0;
        for (const std::byte b : ack.data) id = id << 8 | std::to_integer<std::uint64_t>(b);
        const bool with_id = ack.data.size() == sizeof id;
        for (auto w = waiting_.begin(); w != waiting_.end(); ++w) {
            if (with_id ? w->id != id : w->to != ack.from) continue;
            w->asker.reply(receipt{w->receivers, ack.from});
            waiting_.erase(w);
            return true;
        }
        return false;
    }
    void expire(clock::time_point now) {
        for (auto w = waiting_.begin(); w != waiting_.end();) {
            if (w->until > now) {
                ++w;
                continue;
            }
            w->asker.fail(
                error{errc::timeout, "no ACK from " + w->to + " in time; the frame may have arrived"});
            w = waiting_.erase(w);
        }
    }
    void fail_all(const std::string& why) {
        for (auto& w : waiting_) w.asker.fail(error{errc::closed, why});
        waiting_.clear();
    }
    [[nodiscard]] std::optional<clock::time_point> next() const {
        std::optional<clock::time_point> first;
        for (const auto& w : waiting_)
            if (!first || w.until < *first) first = w.until;
        return first;
    }

private:
    struct entry {
        std::uint64_t id;
        std::string to;
        std::uint32_t receivers;
        clock::time_point until;
        request<publish> asker;
    };
    std::list<entry> waiting_;
};

}  // namespace coppice::actors::octopipes::parts
