// How the locks of a space are taken, waited for and given back; see space_access.hpp for the order in which that is done.
// Each who waits keeps one open description over all tries, since the close of one wakes all others. On the waiter's thread;
// what others write into shared memory meanwhile are atomics.
#include "space_access.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/format.h>

namespace coppice::actors::space_parts {

// ---------------------------------------------------------------- one access

access::access(std::shared_ptr<slot_state> slot, aim what, std::string who, descriptor file) noexcept
    : slot_{std::move(slot)},
      aim_{what},
      who_{std::move(who)},
      file_{std::move(file)},
      exceptions_{std::uncaught_exceptions()} {}

access::~access() {
    if (at_ == stage::outside) return;
    // Of a write that is not whole, the mark and the name stay: that is the damage.
    const bool broken = at_ == stage::inside && !whole_;
    if (record_ && !broken) record_->pid.store(0, std::memory_order_relaxed);
    slot_->header().turns.fetch_add(1, std::memory_order_release);
    unlock(file_.get(), main_byte);
    unlock(file_.get(), gate_byte);
}

bool access::is_thrown() const noexcept { return std::uncaught_exceptions() > exceptions_; }

void access::fill(holder_record& record, slot_use use) const noexcept {
    constexpr std::size_t room = sizeof(record.who);
    record.start.store(this_process().start, std::memory_order_relaxed);
    record.doing.store(static_cast<std::uint32_t>(use), std::memory_order_relaxed);
    record.who.store(std::string_view{who_}.substr(who_.size() > room ? who_.size() - room : 0));
}

// Records of readers are their own names alone. When all are taken, one whose process is dead is taken over.
void access::name_reader() noexcept {
    for (const bool also_dead : {false, true}) {
        for (holder_record& r : slot_->header().readers) {
            std::uint32_t pid = r.pid.load(std::memory_order_relaxed);
            if (pid != 0 && (!also_dead || state_of({pid, r.start.load(std::memory_order_relaxed)})))
                continue;
            if (!r.pid.compare_exchange_strong(pid, this_process().pid, std::memory_order_relaxed)) continue;
            fill(r, slot_use::reading);
            record_ = &r;
            return;
        }
    }
}

void access::name_writer(slot_use use) noexcept {
    record_ = &slot_->header().writer;
    fill(*record_, use);
    record_->pid.store(this_process().pid, std::memory_order_relaxed);
}

result<bool> access::try_once() { return aim_ == aim::read ? try_read() : try_write(); }

result<bool> access::try_read() {
    if (!try_lock(file_.get(), gate_byte, lock_kind::shared)) {
        if (auto there = slot_->still_there(); !there) return there.error();
        return false;
    }
    const bool in = try_lock(file_.get(), main_byte, lock_kind::shared);
    unlock(file_.get(), gate_byte);
    if (!in) {
        if (auto there = slot_->still_there(); !there) return there.error();
        return false;
    }
    at_ = stage::inside;
    whole_ = true;
    return enter();
}

result<bool> access::try_write() {
    if (auto there = slot_->still_there(); !there) return there.error();
    slot_header& h = slot_->header();
    if (at_ == stage::outside) {
        if (!try_lock(file_.get(), gate_byte, lock_kind::exclusive)) return false;
        at_ = stage::at_gate;
        // The name of a dead writer stays until the slot is whole again.
        if (h.writing.load(std::memory_order_acquire) == 0) name_writer(slot_use::waiting_to_write);
        else if (aim_ == aim::write) return slot_->damage();
    }
    if (!try_lock(file_.get(), main_byte, lock_kind::exclusive)) return false;
    at_ = stage::inside;
    whole_ = true;  // nothing has been written
    auto entered = enter();
    if (!entered) return entered;
    for (holder_record& r : h.readers) r.pid.store(0, std::memory_order_relaxed);  // of those that died
    name_writer(slot_use::writing);
    const std::uint64_t number = h.writes.load(std::memory_order_relaxed) + 1;
    h.writes.store(number, std::memory_order_relaxed);
    h.writing.store(number == 0 ? 1 : number, std::memory_order_release);
    whole_ = false;
    return true;
}

// With the lock of its kind: is there what it came for?
result<bool> access::enter() {
    if (auto there = slot_->still_there(); !there) return there.error();
    if (slot_->header().writing.load(std::memory_order_acquire) != 0) {
        was_damaged_ = true;
        if (aim_ != aim::repair) return slot_->damage();
    }
    auto found = slot_->look();
    if (!found && aim_ != aim::repair) return found.error();
    if (!found) {  // the header itself: nothing that it says can be kept
        was_damaged_ = true;
        slot_->header().used.store(0, std::memory_order_relaxed);
        slot_->header().filling.store(1, std::memory_order_relaxed);
        found = slot_->look();
        if (!found) return found.error();
    }
    seen = *found;
    if (aim_ == aim::read) name_reader();
    return true;
}

void access::publish(const arena& now) noexcept {
    if (whole_ || at_ != stage::inside) return;
    slot_header& h = slot_->header();
    h.used.store(now.used, std::memory_order_relaxed);
    h.filling.store(now.filling, std::memory_order_relaxed);
    h.writing.store(0, std::memory_order_release);
    whole_ = true;
}

error access::timed_out(std::chrono::nanoseconds within) const {
    std::string held;
    for (const slot_holder& who : slot_->report().holders) {
        if (who.use == slot_use::waiting_to_write && record_ == &slot_->header().writer)
            continue;  // this one
        const std::string_view does = who.use == slot_use::reading   ? "read by"
                                      : who.use == slot_use::writing ? "written by"
                                                                     : "waited for by the writer";
        held += fmt::format("{}{} {}", held.empty() ? "it is " : "; ", does, text_of(who));
    }
    if (held.empty()) held = "another had it a moment ago";
    return {errc::timeout,
            fmt::format("{} was not free within {} ms: {}", slot_->what(),
                        std::chrono::duration_cast<std::chrono::milliseconds>(within).count(), held)};
}

result<std::unique_ptr<access>> begin_access(const std::shared_ptr<slot_state>& slot, access::aim what,
                                             std::string who) {
    auto file = open_again(slot->file());
    if (!file) return file.error();
    return std::make_unique<access>(slot, what, std::move(who), *std::move(file));
}

result<std::unique_ptr<access>> access_now(const std::shared_ptr<slot_state>& slot, access::aim what) {
    auto made = begin_access(slot, what, {});
    if (!made) return made;
    auto got = (*made)->try_once();
    if (!got) return got.error();
    if (!*got) return (*made)->timed_out(std::chrono::nanoseconds{0});
    return made;
}

// ---------------------------------------------------------------- waiting

namespace {

/// A longer wait is one for so long: a time that is added to the clock's must not wrap around.
constexpr std::chrono::nanoseconds longest = std::chrono::hours{24 * 365};

// How long to wait for a bell before the next look, after one that rang or did not.
std::chrono::nanoseconds next_delay(bool rang, std::chrono::nanoseconds before) noexcept {
    return rang ? std::chrono::nanoseconds{first_look}
                : std::min<std::chrono::nanoseconds>(before * 2, last_look);
}

// An actor that waits for a file's locks: when to look again, and for how long.
class patience {
public:
    patience(const actor<anything>& self, const std::shared_ptr<wakeups>& from, int file,
             std::chrono::nanoseconds within)
        : bell_{self},
          heard_{from->subscribe(file, bell_)},
          until_{now(self) + std::clamp(within, std::chrono::nanoseconds{0}, longest)} {}

    /// False: the time is over. Otherwise something may have changed.
    static task<bool> again(patience* p, actor<anything> self) {
        const std::chrono::nanoseconds left = p->until_ - p->now(self);
        if (left.count() <= 0) co_return false;
        const bool rang = co_await p->bell_.wait(self, std::min(p->delay_, left));
        p->delay_ = next_delay(rang, p->delay_);
        co_return true;
    }

private:
    // The actor's clock may be late by a turn: a limit that counts from there would be over too early.
    [[nodiscard]] std::chrono::steady_clock::time_point now(const actor<anything>& self) const {
        return bell_.is_virtual() ? self.now() : std::chrono::steady_clock::now();
    }
    bell bell_;
    wakeups::subscription heard_;
    std::chrono::nanoseconds delay_ = first_look;
    std::chrono::steady_clock::time_point until_;
};

// The same of an ordinary thread.
class patient_thread {
public:
    patient_thread(const std::shared_ptr<wakeups>& from, int file, const space_thread& me,
                   std::chrono::nanoseconds within)
        : me_{me},
          heard_{from->subscribe(file, bell_)},
          until_{std::chrono::steady_clock::now() +
                 std::clamp(within, std::chrono::nanoseconds{0}, longest)} {}

    /// ok: something may have changed. timeout; cancelled: the thread has to end.
    errc again() {
        if (me_.has_to_end && me_.has_to_end()) return errc::cancelled;
        const std::chrono::nanoseconds left = until_ - std::chrono::steady_clock::now();
        if (left.count() <= 0) return errc::timeout;
        delay_ = next_delay(bell_.wait_here(std::min(delay_, left)), delay_);
        return errc::ok;
    }

private:
    const space_thread& me_;
    bell bell_;
    wakeups::subscription heard_;
    std::chrono::nanoseconds delay_ = first_look;
    std::chrono::steady_clock::time_point until_;
};

error gave_up(std::string what) {
    return {errc::cancelled, fmt::format("{}: who waited for it was told to end", what)};
}

}  // namespace

task<result<std::unique_ptr<access>>> access_within(actor<anything> self, std::shared_ptr<slot_state> slot,
                                                    access::aim what, std::chrono::nanoseconds within) {
    auto made = begin_access(slot, what, self.path());
    if (!made) co_return made.error();
    access& one = **made;
    auto got = one.try_once();
    if (got && !*got) {
        patience waits{self, slot->in().bells(), slot->file(), within};
        for (;;) {
            // Once more at once: what was freed before the subscription has rung no bell.
            got = one.try_once();
            if (!got || *got) break;
            const bool time_left = co_await patience::again(&waits, self);
            if (!time_left) co_return one.timed_out(within);
        }
    }
    if (!got) co_return got.error();
    co_return std::move(made);
}

result<std::unique_ptr<access>> access_here(const std::shared_ptr<slot_state>& slot, access::aim what,
                                            const space_thread& me, std::chrono::nanoseconds within) {
    auto made = begin_access(slot, what, me.who);
    if (!made) return made;
    access& one = **made;
    auto got = one.try_once();
    if (got && !*got && within.count() > 0) {
        patient_thread waits{slot->in().bells(), slot->file(), me, within};
        // Once more at once: what was freed before the subscription has rung no bell.
        for (got = one.try_once(); got && !*got; got = one.try_once()) {
            const errc goes_on = waits.again();
            if (goes_on == errc::cancelled) return gave_up(slot->what());
            if (goes_on == errc::timeout) break;
        }
    }
    if (!got) return got.error();
    if (!*got) return one.timed_out(within);
    return made;
}

// ---------------------------------------------------------------- the table

result<table_lock> table_lock::begin(const space_state& of) {
    auto file = open_again(of.control());
    if (!file) return file.error();
    return table_lock{*std::move(file)};
}

table_lock::~table_lock() {
    if (file_) unlock(file_.get(), table_byte);
}

error table_timed_out(const space_state& of) {
    return {errc::timeout,
            fmt::format("space {}: another process changes its table and does not go on; it may be "
                        "stopped by a signal",
                        of.name())};
}

task<result<table_lock>> table_within(actor<anything> self, std::shared_ptr<space_state> of,
                                      std::chrono::nanoseconds within) {
    auto lock = table_lock::begin(*of);
    if (!lock || lock->try_once()) co_return lock;
    patience waits{self, of->bells(), of->control(), within};
    while (!lock->try_once()) {
        const bool time_left = co_await patience::again(&waits, self);
        if (!time_left) co_return table_timed_out(*of);
    }
    co_return lock;
}

result<table_lock> table_here(const std::shared_ptr<space_state>& of, const space_thread& me,
                              std::chrono::nanoseconds within) {
    auto lock = table_lock::begin(*of);
    if (!lock || lock->try_once()) return lock;
    if (within.count() <= 0) return table_timed_out(*of);
    patient_thread waits{of->bells(), of->control(), me, within};
    while (!lock->try_once()) {
        const errc goes_on = waits.again();
        if (goes_on == errc::cancelled) return gave_up(fmt::format("the table of space {}", of->name()));
        if (goes_on == errc::timeout) return table_timed_out(*of);
    }
    return lock;
}

}  // namespace coppice::actors::space_parts
