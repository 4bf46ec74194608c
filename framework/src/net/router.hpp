// The router: what a node knows of other nodes, and the only place where mail leaves or enters it. Owns listeners, links, flows
// and routes; encodes what goes out, decodes and delivers what comes in.
//
//     actor ─ send() ─► home scheduler ─► flow to the node ─► route: shortcut | neighbour | descendant | parent ─► link
//     link ─► frame ─► for another node: relayed │ for this one: flow ─► decode ─► mailbox
//
// Threading: everything lives on one scheduler of the node, `home`; other threads come by post_control. What they read without
// that, the faces, is atomic. Links and transports call back on home only.
//
// Three facts are kept apart: a link is down; a node is out of reach (its flow is suspended, nothing is lost); a node is lost
// (it has ended, or was out of reach for the hold time): then what was asked fails, and monitors and links fire.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "coppice/detail/scheduler.hpp"
#include "coppice/exit_reason.hpp"
#include "coppice/node.hpp"
#include "coppice/ref.hpp"
#include "coppice/transport.hpp"
#include "coppice/wire.hpp"
#include "net/control.hpp"
#include "net/flow.hpp"
#include "net/frame.hpp"
#include "net/gate.hpp"
#include "net/introductions.hpp"
#include "net/node_table.hpp"
#include "net/retry.hpp"
#include "net/stuck_reports.hpp"
#include "scheduler_progress.hpp"
#include "wire/envelope.hpp"

namespace coppice::net {

using detail::actor_id;
using detail::address;
using detail::envelope;
using detail::scheduler;

/// The kinds of records that flows carry: `kind` of the wire envelope.
enum class record : std::uint16_t {
    message = 1,  // sender, target, type; correlation: incarnation << 32
    request =
        2,  // the same; correlation: incarnation << 32 | the asker's number; aux: milliseconds left when it goes out; flags `expired`
    reply = 3,     // correlation: the asker's number; type
    failure = 4,   // correlation: the asker's number; aux: errc; payload: text
    control = 5,   // payload: net::control
    fragment = 6,  // correlation: transfer; payload: a piece of a record; flags `last`
    // Of the flow itself, outside of its numbers:
    acknowledge = 16,  // sequence: all up to here are taken; correlation, target: credit in bytes, in records
    resume = 17,  // the same, and: send again what comes after; aux: epoch of the way back; flags `answer_me`
    // Of a relay: aux: errc; correlation: the request that it concerns; `ok`: the way is open again.
    notice = 18,
};

/// Type of a message that no actor gets: its target is to end when it has handled what came before. In the normal lane, where it
/// waits for room as a message does and overtakes none, large or small.
inline constexpr std::uint64_t stop_in_order = detail::hash_of("coppice.stop");
/// The envelope of such a message.
envelope* make_stop_order(actor_id target, standing as = rights_table::of_the_tree);

struct record_flag {
    static constexpr std::uint16_t system = 1;     // of the system lane
    static constexpr std::uint16_t last = 2;       // of the fragments of one transfer
    static constexpr std::uint16_t answer_me = 4;  // acknowledge, resume: by a resume
    static constexpr std::uint16_t priority = 8;   // of the priority lane
    // Of send_wait: it waits for room in the mailbox, whatever that holds up.
    static constexpr std::uint16_t waits = 16;
    static constexpr std::uint16_t expired = 32;  // request: its time is over, its asker waits no more
    static constexpr std::uint16_t loans = 128;   // there are loans in the message
    // Above the flags: what they may do for whom a node of the tree sends this (marked_mail.hpp); 0, all that the node may.
    static constexpr int standing_at = 12;
};

/// The lanes of a flow are those of a mailbox. Those in front go first; `system` is for control records.
inline constexpr lane lanes_by_urgency[] = {lane::system, lane::priority, lane::normal};
inline constexpr std::size_t lane_count = std::size(lanes_by_urgency);
/// The two that carry mail.
inline constexpr lane mail_lanes[] = {lane::priority, lane::normal};

/// By the flags of a record.
constexpr lane lane_of(std::uint16_t flags) noexcept {
    return flags & record_flag::system     ? lane::system
           : flags & record_flag::priority ? lane::priority
                                           : lane::normal;
}
constexpr std::uint16_t flag_of(lane l) noexcept {
    return l == lane::system     ? record_flag::system
           : l == lane::priority ? record_flag::priority
                                 : std::uint16_t{0};
}

/// An answer goes the lane of its request: with mail from afar, in `correlation` of its origin, above the asker's number.
inline constexpr std::uint64_t asked_with_priority = std::uint64_t{1} << 32;
constexpr std::uint16_t flag_of_answer(const detail::origin& asked) noexcept {
    return asked.correlation & asked_with_priority ? record_flag::priority : std::uint16_t{0};
}

class neighbour;
struct peer;

/// What both sides of a link have to know of each other beside their hellos. A link that came in where only children of this node
/// are awaited has the secret of the child that it says it is.
struct neighbour_trust {
    std::string secret;       // empty: none is asked for
    bool of_a_child = false;  // the secret follows from the name
    bool of_own_user =
        false;  // it came in where the operating system lets in this user alone: any name will do
};

/// What another thread may know of a node without asking home.
struct face {
    std::atomic<bool> lost{false};
    // Bytes that wait in its flow, sent or not, in the normal and in the priority lane; limits::flow_queue: no more is taken.
    std::atomic<std::uint64_t> waiting[2]{};
    std::atomic<std::uint64_t> unsent{0};  // of the normal lane, what has not gone out
};

class router final : public poller, public reactor {
public:
    router(detail::node_core& node, scheduler& home, network_options options);
    ~router() override;
    router(const router&) = delete;
    router& operator=(const router&) = delete;

    // ---- home
    /// Listens and begins to connect. The first thing that is wrong with the options ends it.
    result<void> start();
    enum class parting : std::uint8_t { with_farewell, without_a_word };
    /// What was sent to a node, and has not been acknowledged.
    struct unsettled {
        std::string node;
        std::uint64_t messages = 0;  // 0: control alone
        bool reachable = true;
    };
    using flushed_function = std::function<void(const std::vector<unsettled>&)>;
    /// Calls `told` once, now or later: with nothing, when all that was sent to nodes that are not lost was acknowledged; with
    /// what is left, when the time is over or the router stops.
    void flush(std::chrono::nanoseconds within, flushed_function told);
    /// Says farewell to all neighbours, unless it is to look like a crash, and closes. Nothing is called after it.
    void stop(parting how = parting::with_farewell);
    [[nodiscard]] node_id id() const noexcept { return id_; }
    [[nodiscard]] const std::vector<endpoint>& listening() const noexcept { return where_; }

    // ---- any thread, while the node lives
    /// Sends to an actor of another node. Takes the envelope if ok. Errors at once: `unreachable`, `node_lost`, `mailbox_full`
    /// (the flow's queue), `not_portable`, `too_large`.
    errc send(const address& to, envelope* e);
    /// As send, and calls `told` with the outcome when there is room or will never be. Takes the envelope in any case.
    void send_when_room(const address& to, envelope* e, std::uint64_t ticket, std::function<void(errc)> told);
    /// Takes back what waits for room under that ticket, if it still does; who sent it is told `cancelled`.
    void withdraw(const address& to, std::uint64_t ticket);
    /// True if the flow has room for mail of ordinary size, as far as another thread can see.
    [[nodiscard]] bool has_room(const address& to) const noexcept;
    /// The scheduler that mail for other nodes goes through.
    [[nodiscard]] std::uint32_t home() const noexcept { return home_.index; }
    /// Answers a request that came from afar. Takes the reply.
    void reply(actor_id asker, const detail::origin& where, envelope* reply_mail);
    /// `as`: what they may do for whom the watcher acts.
    void watch(actor_id watcher, std::uint64_t monitor, const address& target,
               standing as = rights_table::of_the_tree);
    void unwatch(actor_id watcher, std::uint64_t monitor, const address& target);
    void link(actor_id from, const address& to);
    void unlink(actor_id from, const address& to);
    void tell_exit(actor_id from, const address& to, const exit_reason& reason);
    void end(const address& target, ending how, std::chrono::nanoseconds within,
             standing as = rights_table::of_the_tree);
    /// Finds an actor on another node: by "/node/path" or an endpoint with an actor. `answer` is called on home, once.
    using find_answer = std::function<void(result<address>)>;
    void find(std::string where, const detail::protocol_info* wanted, find_answer answer);
    /// Those of other nodes for what was not there while the tree started: something new is there, or it has started. Home.
    void answer_held_lookups();

    /// Calls f for the node of that index. False if it is unknown or lost. Home.
    bool with_peer(std::uint32_t index, const std::function<void(router&, peer&)>& f);
    /// Ends an actor here that is linked to one there, or tells it if it traps exits. Home.
    void deliver_exit(actor_id to, const address& from, const exit_reason& why);
    void put_control(peer& p, const control& message, standing as = rights_table::of_the_tree);
    /// The node's index in the table; the peer is remembered. 0, which is nobody's, if there are too many. Home.
    std::uint32_t index_of(node_id node);
    /// Adds links, flows and routes, and which of the schedulers listed there are stuck. Home.
    void describe(node_info& out);
    /// An actor of this node has joined a group, or left it: the other nodes are told, soon. Home.
    void own_member(const std::string& group, actor_id who, bool joined);
    /// How many of the node's schedulers make no progress. Home.
    [[nodiscard]] std::uint32_t stuck_schedulers() const noexcept { return stuck_; }
    /// Mail that waited for room in a mailbox here is in it, or was refused. Home.
    void unparked(node_id from, std::uint32_t epoch, amount held);
    /// Blobs of that node's have been dropped here: it will be told. Home.
    void loans_came_back(node_id of);

    // ---- process children (router_children.cpp). Home
    /// Where children are to link to this node over that kind of transport, "unix" or "shm?ring=1MiB": it listens there from the
    /// first call on. Errors as of the transport's listen().
    result<std::string> place_for_children(const std::string& transport);
    /// A child node of that name may link there, with that secret, until forget_child(); `linked` is called each time it has.
    void await_child(const std::string& name, std::string secret, std::function<void(node_id)> linked);
    void forget_child(const std::string& name);
    /// The node of a child that an agent runs has that name: it is not always announced to this one. Until forget_child().
    void child_is_at(const std::string& name, node_id node);
    /// Whether the node of that actor of another one's cannot be reached now, or is lost.
    [[nodiscard]] bool out_of_reach(const address& who);
    /// Removes what a listener for children, of a process that has died, left in the file system, if nobody listens there; later, for
    /// up to ten seconds, if somebody still has its lock.
    void clear_place(const std::string& uri);

    /// Names an address of another node, for people: "/node#2.17.1".
    static std::string to_string(const address& a);

    // ---- poller, called by home
    /// Whether poll() would find something.
    [[nodiscard]] bool has_work() const noexcept { return !dirty_.empty() || has_parked_with_room(); }
    bool poll() override;
    bool prepare_sleep() override;

    // ---- reactor, for transports
    void* io_context() noexcept override;
    std::int64_t now() override;
    void post(std::function<void()> job) override;
    std::unique_ptr<pending_timer> after(std::chrono::nanoseconds delay, std::function<void()> fire) override;
    void add(poller& p) override;
    void remove(poller& p) noexcept override;

    /// Around what runs on home's thread, but maybe outside its turn: a handler of Asio's. Mail that it delivers is seen to.
    class on_home {
    public:
        explicit on_home(router& r) noexcept : home_{r.home_}, current_{r.home_} {}
        ~on_home() {
            if (!home_.awake) home_.ask_for_drain();
        }
        on_home(const on_home&) = delete;
        on_home& operator=(const on_home&) = delete;

    private:
        scheduler& home_;
        scheduler::as_current current_;
    };

private:
    friend class neighbour;
    struct dialer;  // dialer.hpp
    struct sending;
    struct approach;  // dialer.hpp
    struct query;
    struct search;
    /// What a URI says.
    struct place {
        endpoint where;
        std::shared_ptr<const transport> kind;
        bool sealed;  // frames go out with checksums of all
    };

    // ---- routes (router.cpp)
    /// Which link leads to a node, for mail of this one: a shortcut, else the tree. For that of others: the tree alone.
    [[nodiscard]] neighbour* way_to(node_id node) const noexcept {
        const auto direct = shortcuts_.empty() ? shortcuts_.end() : shortcuts_.find(node);
        return direct == shortcuts_.end() ? tree_way(node) : direct->second;
    }
    [[nodiscard]] neighbour* tree_way(node_id node) const noexcept;
    peer& peer_of(node_id node);
    void has_name(node_id node, const std::string& name);
    [[nodiscard]] peer* known(node_id node) const noexcept;
    [[nodiscard]] peer* at_index(std::uint32_t index) const noexcept {
        return index < by_index_.size() ? by_index_[index] : nullptr;
    }
    void accepted(std::unique_ptr<byte_link> link, bool sealed, neighbour_trust known_by);
    /// name_taken, if another node than this one has that name and is alive.
    result<void> name_is_free(const std::string& name, node_id node);
    [[nodiscard]] const std::string* secret_of_child(const std::string& name) const noexcept;
    void child_linked(const neighbour& n);
    void listen_for_control();
    void clear_places();
    bool is_clear(const place& at);
    void connected(dialer& d, std::unique_ptr<byte_link> link);
    [[nodiscard]] static result<place> place_of(std::string_view uri);
    dialer& add_dialer(place at, role as);
    void dial(dialer& d);
    void dial_later(dialer& d, retry::ended how, const error& why);
    [[nodiscard]] hello greeting(role as, const nonce& challenge) const;
    [[nodiscard]] result<void> may_link(const neighbour& n, const hello& h);
    void link_up(neighbour& n);
    void link_down(neighbour& n, const error& why, bool was_up);
    void take_routes(neighbour& n, const routes& change);
    void take_ended(neighbour& n, const ended& m);
    void take_route(neighbour& n, const named_node& one);
    void grant_claims(const std::vector<node_id>& left, node_id from);
    void ways_changed(neighbour& by);
    void announce();
    void pass_on(const ended& news, const neighbour* but);
    static ended death_of(node_id node, const std::string& name);
    void node_ended(peer& p, const ended& news);
    void node_lost(peer& p, const exit_reason& why, level how_bad = level::warn);
    using node_answer = std::function<void(result<node_id>)>;
    void find_node(std::string name, const void* over, std::int64_t deadline, node_answer answer);
    /// Neither one that it dials nor one that has dialled this node.
    [[nodiscard]] bool has_no_parent() const noexcept { return options_.parent.empty() && !parent_; }
    void searches_again();
    [[nodiscard]] error no_way(const search& to) const;
    void fail_searches(const dialer& over, const error& why);
    /// The node that a path leads to, as far as is known here: the one with the longest name that the path begins with. 0: none.
    [[nodiscard]] node_id node_of_path(std::string_view path) const noexcept;
    void ask_node(node_id node, std::string path, std::vector<std::uint64_t> types, std::int64_t deadline,
                  find_answer answer);
    /// Those have no answer: not in time, or their node is lost.
    void end_queries(const std::function<bool(const query&)>& which);
    void tick();
    void arm_tick();
    void log(level l, std::string text) const;
    /// Of a process child under its own path: who does not want to hear of it, says so by that.
    void log_of(const std::string& name, level l, std::string text) const;

    // ---- groups (router_groups.cpp)
    void take_memberships(neighbour& n, const memberships& m);
    [[nodiscard]] bool speaks_for(const neighbour& child, node_id node) const;
    void tell_memberships(neighbour& n);
    void own_members_changed();
    void believe(node_id node, bool tells_all = false);
    void members_are(node_id node, const std::vector<membership>& joined,
                     const std::vector<membership>& left);
    void members_are_stale(const neighbour& n);
    void forget_if_empty(node_id node, node_id by);
    void all_is_said(neighbour& n);
    void forget_members(node_id node);
    void pass_on_members(node_id node, bool complete, std::vector<membership> joined,
                         std::vector<membership> left, const neighbour* but);
    void send_memberships(neighbour& n, memberships m) const;

    // ---- shortcuts (router_shortcuts.cpp)
    void take_introduction(neighbour& by, const introduce& m);
    void take_offer(peer& p, const offer& o);
    void send_offer(peer& p, bool is_answer);
    [[nodiscard]] std::vector<std::string> offered_endpoints(node_id to) const;
    [[nodiscard]] std::vector<place> usable(const offer& o) const;
    [[nodiscard]] bool has_room_for_a_shortcut() const noexcept;
    void try_next(approach& a);
    void approach_failed(const neighbour& n, const error& why);
    [[nodiscard]] result<void> may_shorten(const neighbour& n, const hello& h);
    void shortcut_up(neighbour& n);
    void shortcut_down(neighbour& n);
    void change_way(peer& p, neighbour* before);
    void look_after_shortcut(neighbour& n, std::int64_t at, std::int64_t paused);

    // ---- who there watches actors here (router_monitors.cpp)
    /// Notes a monitor. False: it is refused, and the other node told if that is for want of room.
    bool may_watch(peer& p, const watch_actor& m);
    std::optional<exit_reason> may_not_monitor(peer& p, actor_id target);
    bool may_link_actors(peer& p, const link_actors& m);
    void forget_watches_of(peer& p);

    // ---- what makes no progress (router_watch.cpp). `pause`: for so long this process did not run, or 0
    void look_at_flow(peer& p, std::int64_t at, std::int64_t pause);
    void end_stall(peer& p, lane l, std::int64_t at);
    template <class M>
    void tell_flow_watchers(const M& event);
    void look_at_schedulers(std::int64_t at, std::int64_t pause);

    // ---- out (router_out.cpp)
    errc send_home(const address& to, envelope* e);
    errc put_mail(peer& p, const wire::envelope_fields& fields, const detail::wire_functions* form,
                  const void* body, std::size_t bytes, envelope** keep = nullptr);
    [[nodiscard]] bool has_room(const peer& p) const noexcept;
    void put_bytes(peer& p, const wire::envelope_fields& fields, std::span<const std::byte> payload);
    void put_record(peer& p, wire::envelope_fields fields, std::span<const std::byte> payload);
    void want_out(peer& p);
    void tell_room(peer& p) noexcept;
    [[nodiscard]] bool has_its_share(const peer& p, lane l) const noexcept;
    void mark_dirty(neighbour& n);
    void pump(neighbour& n);
    bool pump_peer(neighbour& n, peer& p, sending& out);
    void renew_deadline(const peer& p, std::byte* record_head) const;
    void pump_bulk(peer& p, lane l);
    void resume(peer& p, bool answer_me);
    void room_again(peer& p);
    void map_memory(peer& p, int descriptor);
    void return_loans(peer& p);
    void acknowledge_soon();
    void acknowledge_now();

    // ---- waiting for it to arrive (router_flush.cpp)
    [[nodiscard]] std::vector<unsettled> all_unsettled() const;
    void look_at_flushes();
    void end_flushes();

    // ---- in (router_in.cpp)
    bool may_pass(neighbour& from, const parsed_frame& f, standing of_source);
    bool read_mail(neighbour& from, const parsed_frame& f, wire::envelope_view& view);
    [[nodiscard]] scheduler* own_scheduler_of(actor_id id) const noexcept;
    [[nodiscard]] detail::cell* living(actor_id id, scheduler** where) const noexcept;
    void take_frame(neighbour& from, const parsed_frame& f);
    void begin_epoch(peer& p, std::uint32_t epoch);
    void relay(neighbour& from, const parsed_frame& f, standing of_source);
    void notify(neighbour& by, const frame_route& back, errc what, std::uint64_t correlation);
    void has_returned(node_id node);
    // `held`: what counts as held on the flow's account until the record is done with.
    void take_record(peer& p, const wire::envelope_view& r, amount held, lane l);
    void take_mail(peer& p, const wire::envelope_view& r, amount held, lane l);
    [[nodiscard]] bool has_parked_with_room() const noexcept;
    bool hand_out();
    void take_reply(peer& p, const wire::envelope_view& r);
    void take_fragment(peer& p, const wire::envelope_view& r, amount held, lane l);
    void refuse(peer& p, const wire::envelope_view& r, errc why, std::string_view text = {});
    void deny(peer& p, const wire::envelope_view& r, right what, std::string_view object);
    void tell_refusal(peer& p, const wire::envelope_view& r, errc why, std::string_view text);
    void fail_pending(peer& p, std::uint32_t number, const error& why);

    // ---- control from node to node (router_control.cpp): one take_control() for each kind
    void take_control(peer& p, std::span<const std::byte> payload);
    void take_control(peer& p, const net::find& m);
    void take_control(peer& p, const net::found& m);
    void take_control(peer& p, const locate& m);
    void take_control(peer& p, const located& m);
    void take_control(peer& p, const watch_actor& m);
    void take_control(peer& p, const unwatch_actor& m);
    void take_control(peer& p, const down_notice& m);
    void take_control(peer& p, const link_actors& m);
    void take_control(peer& p, const unlink_actors& m);
    void take_control(peer& p, const exit_notice& m);
    void take_control(peer& p, const end_actor& m);
    void take_control(peer& p, const offer& m);
    void take_control(peer& p, const arena_mapped& m);
    void take_control(peer& p, const loans_returned& m);
    template <class F>
    bool on_scheduler_of(actor_id id, F f);

    detail::node_core& node_;
    scheduler& home_;
    network_options options_;
    gate gate_;
    node_id id_;
    bool stopped_ = false;
    std::int64_t started_ = 0;

    std::vector<endpoint> where_;
    std::vector<std::unique_ptr<listener>> listeners_;
    std::map<std::string, std::string, std::less<>> children_places_;  // by transport, where they are awaited
    std::vector<std::unique_ptr<listener>> children_listeners_;
    std::unique_ptr<listener> control_listener_;  // of the command line
    std::vector<std::pair<place, int>>
        places_to_clear_;  // somebody has their lock; how often that is looked at again
    struct awaited_child {
        std::string secret;
        std::function<void(node_id)> linked;
    };
    std::map<std::string, awaited_child, std::less<>> awaited_children_;
    std::vector<std::unique_ptr<dialer>> dialers_;
    std::vector<std::unique_ptr<neighbour>> neighbours_;
    std::vector<neighbour*> dirty_;
    neighbour* parent_ = nullptr;
    std::vector<named_node> announced_;  // to that parent, in the order of the ids
    neighbour* announced_to_ = nullptr;
    std::unordered_map<node_id, std::unique_ptr<peer>> peers_;
    std::vector<peer*> by_index_;    // of the node table
    std::size_t waiting_bytes_ = 0;  // in all flows
    const blob* within_ = nullptr;   // the memory of the large message that is being taken
    struct parked_mail {
        envelope* mail;
        node_id from;
        std::uint32_t epoch;
        amount held;
    };
    std::map<actor_id, std::deque<parked_mail>> parked_;  // by the actor on home whose mailbox is full
    std::unordered_map<node_id, neighbour*> routes_;      // neighbours and descendants
    std::unordered_map<node_id, neighbour*> shortcuts_;   // for mail of this node alone
    struct claim {
        neighbour* by;
        std::string name;
    };
    std::map<node_id, claim> claims_;  // of nodes in routes_, by a child that is not the one that leads there
    introductions introductions_;
    using member_set = std::set<membership>;
    struct said_members {
        member_set in;
        bool stale = false;  // its link has been down since
    };
    struct node_members {
        member_set in;                         // as the table of groups has them
        node_id over = 0;                      // the neighbour who is believed
        std::map<node_id, said_members> said;  // by neighbour
    };
    std::map<node_id, node_members> members_;                  // of other nodes
    std::map<membership, bool> own_changes_;                   // not told yet: joined, or left
    std::size_t members_said_ = 0;                             // in all of members_
    std::map<node_id, std::unique_ptr<approach>> approaches_;  // shortcuts that are being dialled
    std::map<std::string, node_id, std::less<>> names_;
    struct absence {
        std::int64_t since;
        node_id from;  // the neighbour over which it was reached
    };
    std::unordered_map<node_id, absence> away_;     // nodes that were routed to, for limits::route_grace
    std::set<std::pair<node_id, node_id>> missed_;  // (one that is away, one that sent to it meanwhile)
    std::unique_ptr<pending_timer> ticker_;
    std::unique_ptr<pending_timer> clearer_;  // of places_to_clear_
    std::unique_ptr<pending_timer> acknowledger_;
    std::int64_t last_tick_ = 0;
    struct seen_scheduler {  // by the last tick
        detail::scheduler_progress progress;
        bool stuck = false;
        stuck_reports reports;
    };
    std::vector<seen_scheduler> seen_schedulers_;  // by number
    std::uint32_t stuck_ = 0;

    struct query {
        std::function<void(const found*)> answer;  // null: not in time, or the node is lost
        node_id node = 0;
        std::int64_t deadline = 0;
    };
    std::map<std::uint64_t, query> queries_;
    struct search {
        std::string name;
        std::int64_t deadline = 0;
        node_answer answer;
        std::uint64_t number = 0;    // asked of the parent under it
        node_id asked = 0;           // that parent
        const void* over = nullptr;  // the name is that of the node at the end of this dialer's link
    };
    std::vector<search> searches_;
    struct held_lookup {
        node_id asker = 0;
        net::find what;
    };
    std::vector<held_lookup> held_lookups_;  // of other nodes, for what may come while the tree here starts
    std::uint64_t last_query_ = 0;

    // By index in the node table: what any thread may look at.
    static constexpr std::uint32_t faces_a_chunk = 1024;
    std::unique_ptr<std::atomic<std::atomic<face*>*>[]> faces_;
    [[nodiscard]] face* face_of(std::uint32_t index) const noexcept;

    struct flushing {
        flushed_function told;
        std::unique_ptr<pending_timer> limit;
    };
    std::list<flushing> flushes_;
};

/// Waits until other nodes have acknowledged what was sent to them, as router::flush: `told` is called once on home, or destroyed
/// if the node ends. timeout: the text says how much is left, and for whom. Any thread, while the node lives; what this thread has
/// sent before is waited for.
void flush_network(detail::node_core& node, std::chrono::nanoseconds within,
                   std::function<void(result<void>)> told);

}  // namespace coppice::net
