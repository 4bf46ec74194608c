// Loans: blobs that another node reads where they are, in this process's memory (arena.hpp), and blobs of others that are
// read here. What is sent is where they are, and a number; the number comes back when nobody reads there any more.
//
//     lender: lent_blobs    number ─► blob     ──(message)──►    borrower: borrowed_blobs  number ─► a blob over the mapping
//                           erased             ◄─(control)──               given back by its last drop
//
// What a number stands for is kept until it comes back or the borrower's process has ended, whatever happens to links,
// flows and nodes: else it would read what others write. Home thread, but for give_back(): any thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "arena.hpp"
#include "coppice/blob.hpp"
#include "coppice/wire.hpp"

namespace coppice::net {

/// What this node has lent to another one.
class lent_blobs {
public:
    /// The other node has mapped that memory; loans are made if it is this process's.
    void may_lend(std::uint64_t arena, std::uint32_t its_process) noexcept;
    [[nodiscard]] bool lends() const noexcept { return arena_ != nullptr; }
    /// A blob of more than a fragment that lies elsewhere is copied into the arena, as long as little that was copied is out.
    /// False: it is not lent; there are limits::loans already.
    bool lend(const blob& b, detail::wire_loan& loan);
    /// Numbers that nobody has are ignored: they are a peer's.
    void returned(const std::vector<std::uint64_t>& numbers) noexcept;
    [[nodiscard]] std::size_t count() const noexcept { return held_.size(); }
    [[nodiscard]] std::uint32_t process() const noexcept { return process_; }
    /// The borrower's process has ended.
    void forget() noexcept { held_.clear(), copied_ = 0; }
    /// This node ends: what is still lent stays where it is for as long as the borrower's process lives.
    void leave();

private:
    detail::arena* arena_ = nullptr;
    std::uint32_t process_ = 0;
    std::uint64_t last_ = 0;
    struct loan_made {
        blob lent;
        std::size_t copied = 0;  // its bytes, if it was made for this node
    };
    // Few, so that they are still in the cache when they are read, and when they are used again.
    static constexpr std::size_t most_copied = std::size_t{2} << 20;

    std::unordered_map<std::uint64_t, loan_made> held_;
    std::size_t copied_ = 0;  // of all
};

/// The memory of another node's process as its blobs here share it, and the numbers of those that are dropped.
class borrowed_blobs : public std::enable_shared_from_this<borrowed_blobs> {
public:
    /// `wake` is called, on any thread, when there are numbers after there were none, and when it becomes urgent. It must
    /// not drop blobs.
    borrowed_blobs(std::shared_ptr<const detail::mapped_arena> memory, std::function<void()> wake)
        : memory_{std::move(memory)}, wake_{std::move(wake)} {}

    [[nodiscard]] std::uint64_t arena() const noexcept { return memory_->id(); }
    /// A blob over what was lent. False: there is no such memory.
    bool borrow(const detail::wire_loan& loan, blob& out);
    /// A loan that nobody has taken. Also of one that does not lie in the memory.
    void give_back(std::uint64_t number, std::uint64_t size) noexcept;
    /// Numbers to be sent, at most net::most_returned; home.
    std::vector<std::uint64_t> take_returned();
    [[nodiscard]] bool has_returned() noexcept;
    /// So much that the lender should not wait for it.
    [[nodiscard]] bool is_urgent() noexcept;
    /// The node ends: nobody is woken any more.
    void leave() noexcept;

private:
    static constexpr std::size_t urgent_count = 256;
    static constexpr std::uint64_t urgent_bytes = 512u << 10;

    const std::shared_ptr<const detail::mapped_arena> memory_;
    std::mutex mutex_;
    std::function<void()> wake_;
    std::vector<std::uint64_t> returned_;
    std::uint64_t bytes_ = 0;  // of those
    bool urgent_ = false;
};

/// What one message borrows while it is read: reading may ask twice for the same, and a message that is refused gives
/// everything back.
class message_loans {
public:
    explicit message_loans(const std::shared_ptr<borrowed_blobs>& from) noexcept : from_{from} {}
    bool borrow(const detail::wire_loan& loan, blob& out);

private:
    const std::shared_ptr<borrowed_blobs>& from_;
    std::vector<std::pair<detail::wire_loan, blob>> taken_;
};

/// Gives back all loans of a message that nobody reads. What is no message has none that could be told.
void return_unread(std::span<const std::byte> payload, const std::shared_ptr<borrowed_blobs>& to);

/// The same message with its loans copied into it, for one that is passed on or kept as it came; empty if it is none.
std::vector<std::byte> without_loans(std::span<const std::byte> payload,
                                     const std::shared_ptr<borrowed_blobs>& from);

}  // namespace coppice::net
