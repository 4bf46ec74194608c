// The Octopipes broker's state, shared by the coroutines of its actor: all of them on its scheduler's thread.
//
//     octopipes_house.cpp   the folder: made, locked, cleaned; the pipes of a client
//     octopipes_door.cpp    the access pipe: who joins
//     octopipes_rounds.cpp  what clients send, a frame of each a round; what is written to them
//     octopipes_broker.cpp  members, groups, routing, events, and the actor itself
//
// After every await, members may have gone: a coroutine holds the one that it serves, and looks at `gone`.
#pragma once
#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "coppice/actors/octopipes.hpp"
#include "coppice/await.hpp"
#include "octopipes_acks.hpp"
#include "octopipes_fifo.hpp"
#include "octopipes_outbox.hpp"
#include "octopipes_wake_up.hpp"

namespace coppice::actors::octopipes::parts {

using stream = boost::asio::posix::stream_descriptor;

struct member;
using member_ptr = std::shared_ptr<member>;

/// A frame as it is passed on: its names, and all of its bytes unless it comes in pieces.
struct letter {
    std::string from;
    std::string to;
    std::uint8_t ttl = 0;
    std::uint8_t options = 0;
    std::uint64_t size = 0;  ///< bytes of the frame
    blob bytes;              ///< the whole frame, or its header
};

/// The frame that a client is sending.
struct inflow {
    enum class fate : std::uint8_t { nothing, kept, passed, dropped };
    fate what = fate::nothing;
    letter head;
    std::vector<std::byte>
        kept;  ///< the frame so far, if it is checked before it goes on, or an actor gets it
    std::vector<std::pair<member_ptr, std::uint64_t>>
        to;                          ///< passed: receivers over pipes, with the passages' numbers
    std::vector<member_ptr> actors;  ///< and others
    std::string refusal;             ///< dropped: why
    clock::time_point moved{};       ///< when it went on last
};

/// The pipes of a client.
struct lines {
    lines(boost::asio::io_context& context, descriptor in, descriptor out, outbox::bounds most,
          outbox::report tell, std::uint64_t most_data)
        : tx{context, in.release()},
          rx{context, out.release()},
          box{rx.native_handle(), most, std::move(tell)},
          reader{most_data},
          drained{context},
          work{context} {}
    std::string tx_path;
    std::string rx_path;
    stream tx;  ///< the client writes to it
    stream
        rx;  ///< the client reads from it; open for both here, so it has a reader for as long as it is ours
    outbox box;
    scanner reader;
    inflow coming;
    wake_up drained;  ///< for who waits that there is something to read
    wake_up work;     ///< for who writes
    bool readable = false;
    bool keeps_open = false;  ///< its end of the pipe is its end
    bool opened = false;      ///< it has written, or opened a pipe
    bool leaving = false;     ///< once all is read that it has sent
    bool in_rounds = false;
    int readers = 0;        ///< how often a stock client has it open
    bool closes = false;    ///< it has closed it once: it says by that that it has taken a frame
    bool may_begin = true;  ///< a stock client: it has taken the frame before
    int watch = -1;
    clock::time_point seen = clock::now();           ///< a stock client: when it did something
    clock::time_point open_until{};                  ///< keeps_open: by when it has opened its pipes
    std::optional<clock::time_point> empty_since{};  ///< a stock client's pipe
};

/// A client: over pipes, or an actor.
struct member {
    std::string id;
    std::vector<std::string> groups;
    std::uint64_t joined_unix_ms = 0;
    std::uint64_t sent = 0;
    std::uint64_t given = 0;  // of an actor
    std::uint64_t lost = 0;   // of an actor
    bool gone = false;
    std::unique_ptr<lines> pipes;  // null: an actor
    ref<member_protocol> actor;
    std::uint64_t monitor = 0;
    pending_acks acks;
};

/// The folder: held for as long as it lives; in the end nothing of the broker is left in it.
class folder {
public:
    folder() = default;
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    ~folder();
    /// Errors: denied, name_taken, invalid_argument, io, limit_reached.
    result<void> open(const options& o);
    [[nodiscard]] const std::string& cap() const noexcept { return cap_; }
    /// A path for a pipe of that client: never one that the client says.
    [[nodiscard]] std::string path_of(std::uint64_t serial, const std::string& id, const char* suffix) const;

private:
    result<void> take(const std::string& path);
    void sweep() const;
    result<void> make_cap();
    std::string path_;
    std::string cap_;
    descriptor lock_;
    bool made_cap_ = false;
};

struct house : std::enable_shared_from_this<house> {
    using self_type = actor<broker_protocol>;
    house(self_type s, options o);
    ~house();

    // ---- octopipes_house.cpp
    result<void> open();
    result<member_ptr> make_lines(const std::string& id, bool keeps_open);
    void watch_reader(const member_ptr& m);
    static task<> watch_files(std::shared_ptr<house> h);
    std::vector<member_ptr> read_notices();
    void forget_notices();

    // ---- octopipes_door.cpp
    static task<> hear_door(std::shared_ptr<house> h);
    static task<> keep_door(std::shared_ptr<house> h);
    void step_at_door();
    bool look_after_answer();
    void read_requests();
    void hear_requests(std::span<const std::byte> bytes, bool all);
    void handle_request(const frame& f);
    void subscribe(const frame& f);
    void put_answer(const std::string& id, const assignment& a, std::chrono::nanoseconds within,
                    const member_ptr& of);
    void take_answer_back(const std::string& why);

    // ---- octopipes_rounds.cpp
    static task<> hear(std::shared_ptr<house> h, member_ptr m);
    static task<> write(std::shared_ptr<house> h, member_ptr m);
    static task<> serve_in_rounds(std::shared_ptr<house> h);
    static task<> watch_time(std::shared_ptr<house> h);
    bool serve(const member_ptr& m);
    bool fill(const member_ptr& m);
    void begin(const member_ptr& m, std::span<const std::byte> header);
    void begin_passing(const member_ptr& m);
    void pass_on(const member_ptr& m, std::span<const std::byte> piece);
    void finish(const member_ptr& m, fault why, std::span<const std::byte> end);
    void finish_passing(const member_ptr& m, fault why, std::span<const std::byte> end);
    clock::time_point cut_stalled(const inflow& c, clock::time_point now);
    void enter_rounds(const member_ptr& m, bool wake = true);
    static void cut_copy(const member_ptr& of, std::uint64_t number);
    void cut_off(const member_ptr& m, const std::string& why);
    [[nodiscard]] bool held_up(const member_ptr& m) const;
    void at_end_of_pipe(const member_ptr& m);
    std::optional<clock::time_point> look_at_time(clock::time_point now);
    std::optional<clock::time_point> look_at_lines(const member_ptr& m, clock::time_point now);
    void plan(clock::time_point at);

    // ---- octopipes_broker.cpp
    std::string check_client(const std::string& id, const std::vector<std::string>& groups) const;
    void add(const member_ptr& m, std::vector<std::string> groups);
    void set_groups(const member_ptr& m, std::vector<std::string> groups);
    void remove(member_ptr m, const std::string& how);  // by value: the caller's may be the table's own
    member_ptr find(const std::string& id) const;
    std::vector<member_ptr> receivers(const std::string& to, const member_ptr& but) const;
    std::uint32_t route(const letter& l, const member_ptr& from);
    void give(const letter& l, const member_ptr& to);
    void give_actor(const letter& l, const member_ptr& to);
    void acknowledge(const member_ptr& by, const frame& f);
    void to_broker(const letter& l, const member_ptr& from);
    void tell(happening what, const std::string& id, const std::string& to, std::string text,
              std::uint64_t bytes = 0);
    void tell_loss(const std::string& receiver, const std::string& from, const std::string& to,
                   std::uint64_t bytes, outbox::loss why);
    void on_join(request<join> r);
    void on_regroup(request<regroup> r);
    void on_leave(request<leave> r);
    void on_publish(request<publish> r);
    void on_list(request<list_clients> r);
    void on_down(const down& d);
    member_ptr own(const std::string& id, const ref<>& asker, error& why) const;
    void close();

    self_type self;
    options opt;
    folder place;
    boost::asio::io_context& context;

    std::map<std::string, member_ptr> members;
    std::unordered_map<std::string, std::vector<member_ptr>> readers_of;  // by group and by name
    std::vector<std::pair<ref<watcher_protocol>, std::uint64_t>> watchers;
    std::uint64_t serials = 0;

    // the door
    descriptor cap;
    std::optional<peeper> peep;
    std::optional<stream> edges;
    std::optional<stream> files;  // inotify
    int cap_watch = -1;
    std::unordered_map<int, std::weak_ptr<member>> watched;
    decoder door_reader;
    std::deque<frame> requests;
    struct answer {
        std::vector<std::byte> bytes;
        std::string id;
        clock::time_point until;
        std::weak_ptr<member> of;
    };
    std::optional<answer> outstanding;

    wake_up door;
    wake_up rounds;
    wake_up time;
    clock::time_point planned = clock::time_point::max();
    std::vector<member_ptr> in_rounds;
    std::map<happening, std::uint64_t> counts;
};

/// Bytes that a frame of these names and so much data has.
std::uint64_t frame_size(const scanner::header_fields& h) noexcept;
std::optional<clock::time_point> expiry_of(std::uint8_t ttl);

}  // namespace coppice::actors::octopipes::parts
