// The simulated network. A connection is two pipes; a pipe keeps what is under way, with the time at which it arrives, and a
// pump in the receiver's reactor that delivers it in pieces. A cut drops a random tail of what is under way and tells both.
#include "coppice/transport/sim.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace coppice {

namespace {

class sim_link;

// Not by the standard library's distributions, which differ between implementations: a seed is to mean the same everywhere.
struct generator {
    std::mt19937_64 engine;
    std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : engine() % n; }
    bool chance(double p) { return static_cast<double>(engine() >> 11) * 0x1.0p-53 < p; }
};

}  // namespace

struct sim_network::impl {
    struct listening {
        reactor* on;
        accepted_function accepted;
    };
    generator random;
    sim_conditions conditions;
    std::map<std::string, std::shared_ptr<listening>, std::less<>> listeners;
    std::vector<sim_link*> links;
    std::set<std::string> isolated;
    bool refusing = false;
    std::size_t most = 0;
    explicit impl(std::uint64_t seed) : random{std::mt19937_64{seed}} {}

    std::chrono::nanoseconds delay() {
        const auto span =
            static_cast<std::uint64_t>((conditions.most_delay - conditions.least_delay).count());
        return conditions.least_delay +
               std::chrono::nanoseconds{static_cast<std::int64_t>(random.below(span + 1))};
    }
    // Between a name within the isolated set and one outside.
    [[nodiscard]] bool silent(const std::string& one, const std::string& other) const {
        return conditions.silent || isolated.contains(one) != isolated.contains(other);
    }
};

namespace {

using network = sim_network::impl;

// What is under way in one direction. Owned by the receiving link, fed by the sending one.
struct pipe {
    struct chunk {
        std::vector<std::byte> bytes;
        std::int64_t arrives;
    };
    std::deque<chunk> under_way;
    std::size_t bytes = 0;
    std::int64_t last_arrival = 0;  // order is kept
    bool ended = false;             // no more will be sent; `why` follows what is under way
    error why;
};

class sim_link final : public byte_link, public std::enable_shared_from_this<sim_link> {
public:
    sim_link(std::shared_ptr<network> net, reactor& on, std::string listener, std::string connector)
        : net_{std::move(net)}, on_{on}, listener_{std::move(listener)}, connector_{std::move(connector)} {
        identity_.same_machine = true;
        identity_.address = "sim " + connector_ + " to " + listener_;
        net_->links.push_back(this);
    }
    ~sim_link() override {
        end();
        std::erase(net_->links, this);
    }

    static void join(sim_link& a, sim_link& b) {
        a.other_ = &b;
        b.other_ = &a;
    }

    // ---- byte_link
    void start(link_events& owner) override {
        events_ = &owner;
        schedule();
    }
    std::span<std::byte> reserve(std::size_t least) override {
        const std::size_t used = out_bytes() + filled_;
        if (closed_ || (used > 0 && used + least > net_->conditions.room)) {
            starved_ = !closed_;
            return {};
        }
        if (buffer_.size() < filled_ + least) buffer_.resize(std::max(filled_ + least, std::size_t{4096}));
        const std::size_t most =
            std::max(least, net_->conditions.room - std::min(used, net_->conditions.room));
        return std::span{buffer_}.subspan(filled_, std::min(most, buffer_.size() - filled_));
    }
    void commit(std::size_t size) override { filled_ += size; }
    void flush() override {
        if (filled_ == 0) return;
        if (!other_ || closed_) {
            filled_ = 0;  // on its way to nobody
            return;
        }
        pipe& p = other_->in_;
        p.last_arrival = std::max(p.last_arrival, on_.now() + net_->delay().count());
        p.under_way.push_back(
            {{buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(filled_)}, p.last_arrival});
        p.bytes += filled_;
        net_->most = std::max(net_->most, p.bytes);
        filled_ = 0;
        other_->schedule();
    }
    [[nodiscard]] std::size_t max_reserve() const noexcept override {
        return std::max<std::size_t>(net_->conditions.room / 4, 1024);
    }
    [[nodiscard]] std::size_t unsent() const noexcept override { return filled_ + out_bytes(); }
    void close() noexcept override {
        if (!closed_) flush();
        end();
    }
    [[nodiscard]] const peer_identity& peer() const noexcept override { return identity_; }

    // ---- faults
    // Loses a random tail of what is under way both ways; both sides hear of it.
    void cut() {
        if (!other_) return;
        sim_link* there = other_;
        lose_tail(in_);
        lose_tail(there->in_);
        const error why{errc::io, "the simulated link was cut"};
        other_ = nullptr;
        there->other_ = nullptr;
        hear_end(why);
        there->hear_end(why);
    }
    [[nodiscard]] bool connected() const noexcept { return other_ != nullptr; }
    [[nodiscard]] bool joins(std::string_view one, std::string_view other) const noexcept {
        return (listener_ == one && connector_ == other) || (listener_ == other && connector_ == one);
    }
    void schedule() {
        if (scheduled_ || !events_ || closed_ || over_) return;
        if (in_.under_way.empty() && !in_.ended && shown_ == 0) return;
        if (is_silent()) return;  // heal() schedules again
        scheduled_ = true;
        const std::int64_t wait = in_.under_way.empty() ? 0 : in_.under_way.front().arrives - on_.now();
        timer_ = on_.after(std::chrono::nanoseconds{std::max<std::int64_t>(wait, 0)}, [this] {
            // Not from within the timer: its object may go with the link.
            on_.post([weak = weak_from_this()] {
                if (const auto self = weak.lock()) self->deliver();
            });
        });
    }

private:
    [[nodiscard]] bool is_silent() const { return net_->silent(listener_, connector_); }
    [[nodiscard]] std::size_t out_bytes() const noexcept {
        return other_ ? other_->in_.bytes + other_->shown_ : 0;
    }

    void lose_tail(pipe& p) {
        if (p.under_way.empty()) return;
        const std::size_t kept = net_->random.below(p.bytes + 1);
        std::size_t sum = 0;
        for (auto c = p.under_way.begin(); c != p.under_way.end(); ++c) {
            if (sum + c->bytes.size() <= kept) {
                sum += c->bytes.size();
                continue;
            }
            c->bytes.resize(kept - sum);
            p.under_way.erase(c + 1, p.under_way.end());
            break;
        }
        p.bytes = kept;
    }

    void hear_end(const error& why) {
        in_.ended = true;
        in_.why = why;
        schedule();
    }

    // This side ends: the other hears of it after what is under way.
    void end() noexcept {
        if (std::exchange(closed_, true)) return;
        timer_.reset();
        events_ = nullptr;
        if (sim_link* there = std::exchange(other_, nullptr)) {
            there->other_ = nullptr;
            there->hear_end(error{errc::closed});
        }
    }

    void deliver() {
        scheduled_ = false;
        if (closed_ || !events_ || is_silent()) return;
        if (!in_.under_way.empty() && in_.under_way.front().arrives <= on_.now()) {
            pipe::chunk& c = in_.under_way.front();
            // In pieces: what is read at once has nothing to do with what was written at once.
            const std::size_t n = std::min(
                c.bytes.size(), 1 + static_cast<std::size_t>(net_->random.below(net_->conditions.piece)));
            received_.insert(received_.end(), c.bytes.begin(),
                             c.bytes.begin() + static_cast<std::ptrdiff_t>(n));
            c.bytes.erase(c.bytes.begin(), c.bytes.begin() + static_cast<std::ptrdiff_t>(n));
            in_.bytes -= n;
            if (c.bytes.empty()) in_.under_way.pop_front();
            shown_ = received_.size();
            const std::size_t used = events_->received(received_);
            if (closed_) return;
            received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(used));
            shown_ = received_.size();
            if (other_ && other_->starved_ && other_->events_) {
                other_->starved_ = false;
                other_->on_.post([weak = other_->weak_from_this()] {
                    const auto there = weak.lock();
                    if (there && there->events_ && !there->closed_) there->events_->writable();
                });
            }
            shown_ = 0;
        }
        if (in_.under_way.empty() && in_.ended) {
            if (!std::exchange(over_, true) && !closed_) events_->closed(in_.why);
            return;
        }
        schedule();
    }

    std::shared_ptr<network> net_;
    reactor& on_;
    std::string listener_;
    std::string connector_;  // empty: it did not say
    peer_identity identity_;
    link_events* events_ = nullptr;
    sim_link* other_ = nullptr;
    pipe in_;
    std::vector<std::byte> buffer_;
    std::size_t filled_ = 0;
    std::vector<std::byte> received_;
    std::size_t shown_ = 0;
    std::unique_ptr<pending_timer> timer_;
    bool scheduled_ = false;
    bool starved_ = false;
    bool closed_ = false;
    bool over_ = false;
};

// What the framework owns: the link itself is shared with what is posted.
class owned_link final : public byte_link {
public:
    explicit owned_link(std::shared_ptr<sim_link> l) : link_{std::move(l)} {}
    ~owned_link() override { link_->close(); }
    void start(link_events& owner) override { link_->start(owner); }
    std::span<std::byte> reserve(std::size_t least) override { return link_->reserve(least); }
    void commit(std::size_t size) override { link_->commit(size); }
    void flush() override { link_->flush(); }
    [[nodiscard]] std::size_t max_reserve() const noexcept override { return link_->max_reserve(); }
    [[nodiscard]] std::size_t unsent() const noexcept override { return link_->unsent(); }
    void close() noexcept override { link_->close(); }
    [[nodiscard]] const peer_identity& peer() const noexcept override { return link_->peer(); }

private:
    std::shared_ptr<sim_link> link_;
};

class sim_listener final : public listener {
public:
    sim_listener(std::shared_ptr<network> net, endpoint where)
        : net_{std::move(net)}, where_{std::move(where)} {}
    ~sim_listener() override { net_->listeners.erase(where_.host); }
    [[nodiscard]] const endpoint& where() const noexcept override { return where_; }

private:
    std::shared_ptr<network> net_;
    endpoint where_;
};

struct sim_attempt final : attempt {
    std::shared_ptr<bool> wanted = std::make_shared<bool>(true);
    std::unique_ptr<pending_timer> timer;
    ~sim_attempt() override { *wanted = false; }
};

}  // namespace

sim_network::sim_network(std::uint64_t seed) : impl_{std::make_shared<impl>(seed)} {}
sim_network::~sim_network() = default;

result<std::unique_ptr<listener>> sim_network::listen(reactor& on, const endpoint& where,
                                                      accepted_function accepted) const {
    if (auto fine = where.only({}); !fine) return fine.error();
    if (where.host.empty()) return error{errc::invalid_argument, where.to_string() + ": sim://name"};
    if (impl_->listeners.contains(where.host))
        return error{errc::name_taken, where.to_string() + " is in use"};
    impl_->listeners[where.host] =
        std::make_shared<impl::listening>(impl::listening{&on, std::move(accepted)});
    return std::unique_ptr<listener>{std::make_unique<sim_listener>(impl_, where)};
}

result<std::unique_ptr<attempt>> sim_network::connect(reactor& on, const endpoint& where,
                                                      connected_function done) const {
    if (auto fine = where.only({"from"}); !fine) return fine.error();
    auto trying = std::make_unique<sim_attempt>();
    const auto establish = [net = impl_, &on, where, done = std::move(done), wanted = trying->wanted] {
        if (!*wanted) return;
        const auto named = where.options.find("from");
        const std::string from = named == where.options.end() ? std::string{} : named->second;
        const auto found = net->listeners.find(where.host);
        if (found == net->listeners.end() || net->refusing || net->silent(where.host, from))
            return done(error{errc::unreachable, "nobody listens at " + where.to_string()});
        const auto there = found->second;
        auto mine = std::make_shared<sim_link>(net, on, where.host, from);
        auto theirs = std::make_shared<sim_link>(net, *there->on, where.host, from);
        sim_link::join(*mine, *theirs);
        there->on->post(
            [there,
             theirs = std::make_shared<std::unique_ptr<byte_link>>(std::make_unique<owned_link>(theirs)),
             name = where.host, net] {
                const auto listening = net->listeners.find(name);
                if (listening != net->listeners.end() && listening->second == there)
                    there->accepted(std::move(*theirs));
            });
        done(result<std::unique_ptr<byte_link>>{std::make_unique<owned_link>(std::move(mine))});
    };
    trying->timer = on.after(impl_->delay(), [&on, establish] { on.post(establish); });
    return std::unique_ptr<attempt>{std::move(trying)};
}

std::size_t sim_network::cut(std::string_view one, std::string_view other) {
    std::vector<sim_link*> between;
    for (sim_link* l : impl_->links)
        if (l->joins(one, other)) between.push_back(l);
    std::size_t ended = 0;
    for (sim_link* l : between) {  // each pair stands there twice
        if (!l->connected()) continue;
        l->cut();
        ++ended;
    }
    return ended;
}

void sim_network::conditions(const sim_conditions& all) { impl_->conditions = all; }

std::size_t sim_network::cut(double probability) {
    std::size_t ended = 0;
    const std::vector<sim_link*> all = impl_->links;  // each pair stands there twice
    for (sim_link* l : all) {
        if (std::find(impl_->links.begin(), impl_->links.end(), l) == impl_->links.end() || !l->connected())
            continue;
        if (!impl_->random.chance(probability)) continue;
        l->cut();
        ++ended;
    }
    return ended;
}

void sim_network::isolate(std::set<std::string> names) { impl_->isolated = std::move(names); }

void sim_network::heal() {
    impl_->isolated.clear();
    impl_->conditions.silent = false;
    for (sim_link* l : impl_->links) l->schedule();
}

void sim_network::refuse_new(bool refuse) { impl_->refusing = refuse; }
std::size_t sim_network::links() const noexcept { return impl_->links.size(); }
std::size_t sim_network::most_under_way() const noexcept { return impl_->most; }

}  // namespace coppice
