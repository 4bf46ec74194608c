// Links within a process. Bytes pass from the writer's buffer to the reader's over a third one between them: as a rule
// the buffers change places under a lock, and nothing is copied. The two sides wake each other by reactor::post alone.
//
//     writer's thread          under the pair's lock               reader's thread
//     out  --- flush(): swap or append --->  incoming  --- look(): swap or append --->  in, shown
//
// Threading: a half's own members belong to its reactor's thread; what is in the pair is guarded by its lock. A side's
// reactor is posted to under the lock, and is forgotten there when the side closes, so a reactor may end once its
// links are closed.
#include "coppice/transport/inproc.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace coppice {

namespace {

constexpr std::size_t most = std::size_t{64} << 10;  // max_reserve: the writer's own buffer
constexpr std::size_t high_water = std::size_t{512}
                                   << 10;  // in between, and what the reader may leave unused
constexpr std::size_t least_part = std::size_t{16}
                                   << 10;  // that is shown in one turn of the event loop, if there is more
constexpr std::size_t room_again = high_water / 2;  // a waiting writer is woken at that

// Bytes in one piece of memory: those from begin to end count.
struct buffer {
    std::unique_ptr<std::byte[]> memory;
    std::size_t capacity = 0;
    std::size_t begin = 0;
    std::size_t end = 0;

    [[nodiscard]] std::size_t size() const noexcept { return end - begin; }
    [[nodiscard]] std::byte* data() const noexcept { return memory.get() + begin; }
    void clear() noexcept { begin = end = 0; }
    void used(std::size_t bytes) noexcept {
        begin += bytes;
        if (begin == end) clear();
    }
    // Room for that many more behind the end. What is there moves to the front if it has to.
    void make_room(std::size_t bytes) {
        if (capacity - end >= bytes) return;
        if (capacity - size() >= bytes) {
            std::memmove(memory.get(), data(), size());
        } else {
            const std::size_t grown = std::max({most, capacity * 2, size() + bytes});
            auto larger = std::make_unique_for_overwrite<std::byte[]>(grown);
            if (size() != 0) std::memcpy(larger.get(), data(), size());
            memory = std::move(larger);
            capacity = grown;
        }
        end = size();
        begin = 0;
    }
    // Moves up to `bytes` of another one's here; all of them by changing places, if this one is empty.
    void take(buffer& from, std::size_t bytes) {
        bytes = std::min(bytes, from.size());
        if (bytes == 0) return;
        if (size() == 0 && bytes == from.size()) {
            clear();
            std::swap(*this, from);
            return;
        }
        make_room(bytes);
        std::memcpy(memory.get() + end, from.data(), bytes);
        end += bytes;
        from.used(bytes);
    }
};

class half;

struct side {
    reactor* on = nullptr;  // null: not accepted yet, or closed
    bool closed = false;
    std::weak_ptr<half> behind;
    buffer incoming;              // handed over by the other side and not taken yet
    bool ended = false;           // the other side has closed: nothing follows
    bool woken = false;           // look() is posted and has not run
    bool waits_for_room = false;  // in the other side's incoming
};

struct pair {
    std::mutex mutex;
    std::array<side, 2> sides;

    // Has that side look, soon. With the lock held.
    void wake(std::size_t which);
};

// One side of a link. A job that is posted for it shares it.
class half final : public std::enable_shared_from_this<half> {
public:
    half(std::shared_ptr<pair> both, std::size_t own) : pair_{std::move(both)}, own_{own} {}

    void start(link_events& owner) {
        if (phase_ != phase::idle) return;
        phase_ = phase::open;
        events_ = &owner;
        const std::lock_guard lock{pair_->mutex};
        pair_->wake(own_);
    }

    std::span<std::byte> reserve(std::size_t least) {
        COPPICE_ASSERT(least <= most, "a link's owner reserves more than max_reserve()");
        if (phase_ == phase::ended) return {};
        if (most - out_.size() < least) hand_over();
        if (most - out_.size() < least) {
            wants_room_ = true;
            return {};
        }
        out_.make_room(least);
        reserved_ = std::min(out_.capacity - out_.end, most - out_.size());
        return {out_.memory.get() + out_.end, reserved_};
    }

    void commit(std::size_t size) {
        if (phase_ == phase::ended) return;
        COPPICE_ASSERT(size <= reserved_, "a link's owner commits more than it reserved");
        reserved_ = 0;
        out_.end += size;
    }

    void flush() {
        if (phase_ != phase::ended && out_.size() != 0) hand_over();
    }

    [[nodiscard]] std::size_t unsent() const {
        if (phase_ == phase::ended) return 0;
        const std::lock_guard lock{pair_->mutex};
        return out_.size() + other().incoming.size();
    }

    void close() {
        if (phase_ == phase::ended) return;
        phase_ = phase::ended;
        events_ = nullptr;
        const std::lock_guard lock{pair_->mutex};
        if (!other().closed) other().incoming.take(out_, out_.size());  // beyond the bound, once
        other().ended = true;
        pair_->wake(1 - own_);
        own().closed = true;
        own().on = nullptr;
        own().incoming.clear();
    }

    // What there is to do on this side, after a wake.
    void look() {
        bool has_room = false;
        bool ended = false;
        bool more = false;
        {
            const std::lock_guard lock{pair_->mutex};
            own().woken = false;
            if (phase_ != phase::open) return;
            in_.take(own().incoming,
                     std::min(std::max(events_->appetite(), least_part), high_water - in_.size()));
            more = own().incoming.size() != 0;
            ended = own().ended && !more;
            if (other().waits_for_room && own().incoming.size() <= room_again) {
                other().waits_for_room = false;
                pair_->wake(1 - own_);
            }
            has_room = !own().waits_for_room;
        }
        if (in_.size() > shown_ && !show()) return;
        if (ended) return end(errc::closed);
        if (more) wake_self();
        if (has_room && out_.size() != 0 && out_flushed_) has_room = hand_over();
        if (has_room && std::exchange(wants_room_, false)) events_->writable();
    }

private:
    enum class phase : std::uint8_t { idle, open, ended };

    [[nodiscard]] side& own() const noexcept { return pair_->sides[own_]; }
    [[nodiscard]] side& other() const noexcept { return pair_->sides[1 - own_]; }

    void wake_self() {
        const std::lock_guard lock{pair_->mutex};
        pair_->wake(own_);
    }

    // True if all of it is with the other side now; else the rest follows when that has room.
    bool hand_over() {
        const std::lock_guard lock{pair_->mutex};
        if (other().closed) {
            out_.clear();  // closed() follows
            return true;
        }
        buffer& to = other().incoming;
        to.take(out_, high_water - std::min(high_water, to.size()));
        out_flushed_ = out_.size() != 0;
        own().waits_for_room = out_flushed_;
        pair_->wake(1 - own_);
        // The other side does not know that somebody waits for writable() here any more.
        if (!out_flushed_ && wants_room_) pair_->wake(own_);
        return !out_flushed_;
    }

    bool show() {
        const std::size_t used = events_->received({in_.data(), in_.size()});
        if (phase_ != phase::open) return false;
        COPPICE_ASSERT(used <= in_.size(), "a link's owner uses more than it was shown");
        in_.used(used);
        shown_ = in_.size();
        if (shown_ < high_water) return true;
        end({errc::bad_message,
             "the peer sent " + std::to_string(shown_) + " bytes of which none could be used"});
        return false;
    }

    void end(error why) {
        link_events* const owner = events_;
        close();
        owner->closed(std::move(why));
    }

    std::shared_ptr<pair> pair_;
    std::size_t own_;
    link_events* events_ = nullptr;  // set while open
    buffer out_;                     // committed
    buffer in_;                      // received and not used
    std::size_t reserved_ = 0;       // what the last reserve() granted
    std::size_t shown_ = 0;          // so much of in_ was shown before
    phase phase_ = phase::idle;
    bool wants_room_ = false;   // reserve() gave none
    bool out_flushed_ = false;  // the other side had no room for what out_ holds
};

void pair::wake(std::size_t which) {
    side& s = sides[which];
    if (!s.on || s.woken) return;
    s.woken = true;
    s.on->post([h = s.behind.lock()] {
        if (h) h->look();
    });
}

class inproc_link final : public byte_link {
public:
    inproc_link(std::shared_ptr<half> behind, peer_identity peer)
        : half_{std::move(behind)}, peer_{std::move(peer)} {}
    inproc_link(const inproc_link&) = delete;
    inproc_link& operator=(const inproc_link&) = delete;
    ~inproc_link() override { half_->close(); }

    void start(link_events& owner) override { half_->start(owner); }
    std::span<std::byte> reserve(std::size_t least) override { return half_->reserve(least); }
    void commit(std::size_t size) override { half_->commit(size); }
    void flush() override { half_->flush(); }
    [[nodiscard]] std::size_t max_reserve() const noexcept override { return most; }
    [[nodiscard]] std::size_t unsent() const noexcept override { return half_->unsent(); }
    void close() noexcept override { half_->close(); }
    [[nodiscard]] const peer_identity& peer() const noexcept override { return peer_; }

private:
    std::shared_ptr<half> half_;
    peer_identity peer_;
};

// ---------------------------------------------------------------- names

// A listener, as those who connect see it.
struct door {
    std::mutex mutex;
    reactor* on;                                  // guarded; null: closed
    std::shared_ptr<accepted_function> accepted;  // the listener's thread; null: closed
};

struct doors {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<door>, std::less<>> by_name;
};

doors& all() {
    static auto& known = *new doors;  // never destroyed: a listener may be static
    return known;
}

peer_identity identity(const std::string& address) {
    peer_identity peer;
    peer.by = peer_identity::proof::same_process;
    peer.same_machine = true;
    peer.uid = ::geteuid();
    peer.pid = ::getpid();
    peer.address = address;
    return peer;
}

error nobody(const std::string& address) { return {errc::unreachable, address + ": nobody listens"}; }

// ---------------------------------------------------------------- connecting

// An attempt, shared with the listener's side.
struct knock {
    std::mutex mutex;
    reactor* from;            // guarded; null: given up
    connected_function done;  // the connecting thread; empty: told or given up
    std::shared_ptr<pair> both;
    std::unique_ptr<byte_link> link;  // the connecting thread
    std::string address;

    void tell(bool opened) {
        if (!done) return;
        const auto callback = std::exchange(done, nullptr);
        if (opened) callback(std::move(link));
        else callback(nobody(address));
    }
};

void answer(const std::shared_ptr<knock>& k, bool opened) {
    const std::lock_guard lock{k->mutex};
    if (k->from) k->from->post([k, opened] { k->tell(opened); });
}

// Travels to the listener in a job. If the job is destroyed unrun, the door was closed.
struct call_at_door {
    explicit call_at_door(std::shared_ptr<knock> by) : k{std::move(by)} {}
    call_at_door(const call_at_door&) = delete;
    call_at_door& operator=(const call_at_door&) = delete;
    ~call_at_door() { answer(k, opened); }
    std::shared_ptr<knock> k;
    bool opened = false;
};

// On the listener's thread.
void open_door(const std::shared_ptr<door>& at, call_at_door& call) {
    const std::shared_ptr<accepted_function> accepted = at->accepted;  // the listener may be destroyed within
    if (!accepted) return;
    const std::shared_ptr<pair>& both = call.k->both;
    auto own = std::make_shared<half>(both, 1);
    {
        const std::lock_guard door_lock{at->mutex};
        const std::lock_guard lock{both->mutex};
        if (both->sides[0].closed) return;  // given up
        both->sides[1].on = at->on;
        both->sides[1].behind = own;
    }
    call.opened = true;
    (*accepted)(std::make_unique<inproc_link>(std::move(own), identity(call.k->address)));
}

class inproc_attempt final : public attempt {
public:
    explicit inproc_attempt(std::shared_ptr<knock> k) : knock_{std::move(k)} {}
    inproc_attempt(const inproc_attempt&) = delete;
    inproc_attempt& operator=(const inproc_attempt&) = delete;
    ~inproc_attempt() override {
        {
            const std::lock_guard lock{knock_->mutex};
            knock_->from = nullptr;
        }
        knock_->done = nullptr;
        knock_->link.reset();
    }

private:
    std::shared_ptr<knock> knock_;
};

class inproc_listener final : public listener {
public:
    inproc_listener(endpoint where, std::shared_ptr<door> opened)
        : where_{std::move(where)}, door_{std::move(opened)} {}
    inproc_listener(const inproc_listener&) = delete;
    inproc_listener& operator=(const inproc_listener&) = delete;
    ~inproc_listener() override {
        {
            const std::lock_guard lock{all().mutex};
            all().by_name.erase(where_.host);
        }
        {
            const std::lock_guard lock{door_->mutex};
            door_->on = nullptr;
        }
        door_->accepted = nullptr;
    }
    [[nodiscard]] const endpoint& where() const noexcept override { return where_; }

private:
    endpoint where_;
    std::shared_ptr<door> door_;
};

result<std::string> address_of(const endpoint& where) {
    if (auto known = where.only({}); !known) return known.error();
    if (where.host.empty() || where.port != 0 || !where.path.empty())
        return error{errc::invalid_argument, where.to_string() + ": expected inproc://name"};
    return "inproc://" + where.host;
}

class inproc_kind final : public transport {
public:
    [[nodiscard]] std::string_view scheme() const noexcept override { return "inproc"; }

    [[nodiscard]] result<std::unique_ptr<listener>> listen(reactor& on, const endpoint& where,
                                                           accepted_function accepted) const override {
        auto address = address_of(where);
        if (!address) return address.error();
        auto opened = std::make_shared<door>();
        opened->on = &on;
        opened->accepted = std::make_shared<accepted_function>(std::move(accepted));
        const std::lock_guard lock{all().mutex};
        if (!all().by_name.emplace(where.host, opened).second)
            return error{errc::name_taken, *address + ": somebody listens there"};
        return std::unique_ptr<listener>{std::make_unique<inproc_listener>(where, std::move(opened))};
    }

    [[nodiscard]] result<std::unique_ptr<attempt>> connect(reactor& on, const endpoint& where,
                                                           connected_function done) const override {
        auto address = address_of(where);
        if (!address) return address.error();
        auto k = std::make_shared<knock>();
        k->from = &on;
        k->done = std::move(done);
        k->address = *address;
        k->both = std::make_shared<pair>();
        auto own = std::make_shared<half>(k->both, 0);
        k->both->sides[0].on = &on;
        k->both->sides[0].behind = own;
        k->link = std::make_unique<inproc_link>(std::move(own), identity(*address));

        std::shared_ptr<door> found;
        {
            const std::lock_guard lock{all().mutex};
            const auto entry = all().by_name.find(where.host);
            if (entry != all().by_name.end()) found = entry->second;
        }
        // If nobody listens, it is told by the call's end.
        const auto call = std::make_shared<call_at_door>(k);
        if (found) {
            const std::lock_guard lock{found->mutex};
            if (found->on) found->on->post([found, call] { open_door(found, *call); });
        }
        return std::unique_ptr<attempt>{std::make_unique<inproc_attempt>(std::move(k))};
    }
};

}  // namespace

std::shared_ptr<const transport> inproc_transport() { return std::make_shared<inproc_kind>(); }

}  // namespace coppice
