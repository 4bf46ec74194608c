// The lock of a slot: many readers or one writer, and whoever holds it may be killed at any instruction.
//
//                   gate (byte 1)                  main (byte 0)
//     reader        shared, while it comes in      shared, while it reads
//     writer        alone, from its turn to wait   alone, while it writes
//
// So a writer that waits for the readers before it keeps new ones out. The kernel frees both with the death of a process.
// What must hold in between: `writing` is not 0 only while its writer has both bytes, or after its death. Whoever has one of
// the two bytes, in whatever way, and sees it not 0, has found a broken write. Nothing else in memory decides anything.
//
// The order is: lock, then `writing`, then what is written; what is written, then `writing`, then unlock, then close. The close
// wakes who waits (space_wakeups.hpp). Any thread, one at a time.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "space_state.hpp"

namespace coppice::actors::space_parts {

class access {
public:
    enum class aim : std::uint8_t { read, write, repair };
    access(std::shared_ptr<slot_state> slot, aim what, std::string who, descriptor file) noexcept;
    ~access();
    access(const access&) = delete;
    access& operator=(const access&) = delete;

    /// True: it has the lock, and `seen` is the arena. False: not now; a writer may keep the gate meanwhile.
    result<bool> try_once();
    /// Why it does not get on, for a timeout.
    [[nodiscard]] error timed_out(std::chrono::nanoseconds within) const;
    /// Of a writer: what is in the arena now is whole, and is used up to there.
    void publish(const arena& now) noexcept;
    /// True if this guard is destroyed by an exception that did not fly when it was made.
    [[nodiscard]] bool is_thrown() const noexcept;
    [[nodiscard]] bool was_damaged() const noexcept { return was_damaged_; }

    arena seen{};

private:
    enum class stage : std::uint8_t { outside, at_gate, inside };
    result<bool> try_read();
    result<bool> try_write();
    result<bool> enter();
    void name_reader() noexcept;
    void name_writer(slot_use use) noexcept;
    /// Into shared memory, for others to read.
    void fill(holder_record& record, slot_use use) const noexcept;

    std::shared_ptr<slot_state> slot_;
    aim aim_;
    std::string who_;
    descriptor file_;
    stage at_ = stage::outside;
    holder_record* record_ = nullptr;
    bool was_damaged_ = false;
    bool whole_ = false;  // published, or only read
    int exceptions_ = 0;
};

/// Begins to get at a slot. Errors: of open_again.
result<std::unique_ptr<access>> begin_access(const std::shared_ptr<slot_state>& slot, access::aim what,
                                             std::string who);
/// The same, and either has it or not; timeout.
result<std::unique_ptr<access>> access_now(const std::shared_ptr<slot_state>& slot, access::aim what);
task<result<std::unique_ptr<access>>> access_within(actor<anything> self, std::shared_ptr<slot_state> slot,
                                                    access::aim what, std::chrono::nanoseconds within);

/// On an ordinary thread, which waits; `cancelled` when `me` has to end.
result<std::unique_ptr<access>> access_here(const std::shared_ptr<slot_state>& slot, access::aim what,
                                            const space_thread& me, std::chrono::nanoseconds within);

/// The lock of the table. It keeps its description over all tries: each close of one wakes those that wait.
class table_lock {
public:
    static result<table_lock> begin(const space_state& of);
    [[nodiscard]] bool try_once() noexcept { return try_lock(file_.get(), table_byte, lock_kind::exclusive); }
    table_lock(table_lock&&) noexcept = default;
    table_lock& operator=(table_lock&&) = delete;
    ~table_lock();

private:
    explicit table_lock(descriptor file) noexcept : file_{std::move(file)} {}
    descriptor file_;
};
[[nodiscard]] error table_timed_out(const space_state& of);
task<result<table_lock>> table_within(actor<anything> self, std::shared_ptr<space_state> of,
                                      std::chrono::nanoseconds within);
result<table_lock> table_here(const std::shared_ptr<space_state>& of, const space_thread& me,
                              std::chrono::nanoseconds within);

}  // namespace coppice::actors::space_parts
