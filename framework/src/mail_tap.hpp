// What an actor takes from its mailbox, for those who follow it (control::follow_mail).
//
//     followed actor ── tell_taken() ─► mail_tap, bounded ── take() ─► control actor ── ask ─► follower
//       (its thread)                      (one mutex)                   (the root's thread)
//
// Invariants, by which no two threads race here:
//  1. The bit cell::followed and cell_ext::taps are read and written on the followed actor's scheduler alone; the control actor
//     changes them by a control. The bit is set if and only if there is a tap.
//  2. Both threads touch the inside of a mail_tap, under its mutex, and nothing else of each other.
//  3. A tap wakes under its mutex: once stop() has returned it wakes nobody.
// An actor that nobody follows runs none of this: the bit is one of `attention`, which a receive tests as a whole anyway.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "cell_ext.hpp"
#include "coppice/control_actor.hpp"

namespace coppice::detail {

/// Records of one actor for one follower: put in by the actor's thread, taken by the control actor.
class mail_tap {
public:
    /// `wake` is called, on the thread that puts in, when there is something again.
    explicit mail_tap(std::function<void()> wake) : wake_{std::move(wake)} {}

    void put(control::mail_record r);
    /// A message that could not even become a record.
    void miss();
    /// The actor is gone for good.
    void end();
    /// Nobody listens any more: nobody is woken from now on.
    void stop();
    /// The next that fit into one message to the follower; empty if there is nothing to tell.
    std::optional<control::mail_batch> take();
    /// So many messages that were taken did not reach the follower.
    void give_up(std::uint64_t messages);

private:
    void wake();  // under the mutex

    std::mutex mutex_;
    std::function<void()> wake_;
    std::vector<control::mail_record> waiting_;
    std::size_t bytes_ = 0;     // of their contents
    std::uint64_t missed_ = 0;  // after them
    bool told_ = false;         // woken, and nothing has been taken since
    bool ended_ = false;
};

/// Those of one actor; its scheduler's thread.
struct mail_taps {
    std::vector<std::shared_ptr<mail_tap>> all;
    /// Messages at the front of the normal lane that the actor had taken and put aside, and that have come back.
    std::uint32_t put_back = 0;

    mail_taps() = default;
    mail_taps(const mail_taps&) = delete;
    mail_taps& operator=(const mail_taps&) = delete;
    ~mail_taps() {
        for (const auto& tap : all) tap->end();
    }
};

void follow_mail_of(cell* c, std::shared_ptr<mail_tap> tap);
void unfollow_mail_of(cell* c, const mail_tap* tap) noexcept;
/// It takes that message. Precondition: it is followed.
void tell_taken(cell* c, const envelope* e, bool again) noexcept;

/// The message at that place of the normal lane leaves it: whether the actor had put it aside before.
inline bool leaves_mailbox(cell* c, std::uint32_t place) noexcept {
    if (!(c->attention & cell::followed)) return false;
    std::uint32_t& put_back = c->ext->taps->put_back;
    if (place >= put_back) return false;
    --put_back;
    return true;
}
/// One at that place makes room for another there, which is new. What had been put aside behind it is then told as new, too: told
/// twice rather than not at all.
inline void replaced_in_mailbox(cell* c, std::uint32_t place) noexcept {
    if ((c->attention & cell::followed) && place < c->ext->taps->put_back) c->ext->taps->put_back = place;
}
/// Messages that it had put aside come back, to the front.
inline void come_back(cell* c, std::uint32_t count) noexcept {
    if (c->attention & cell::followed) c->ext->taps->put_back += count;
}

}  // namespace coppice::detail
