// Control messages from and to bytes, through the code that Cap'n Proto generates from schemas/control.capnp.
// Writing: what would exceed a bound of the wire is cut (texts) or sent as empty (names and paths, which then belong
// to nobody); lists are split by the caller. Reading: every length is checked before it is used, and Cap'n Proto's
// exceptions end here. Any thread; the only state is the table of type names that peers have mentioned.
#include "net/control.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>

#include "coppice/detail/capnp_compat.hpp"
#include "coppice/options.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <control.capnp.h>
#include <kj/exception.h>

namespace coppice::net {

namespace {

// ---- bounds of the wire; schemas/control.capnp tells them to other languages

// Bytes of a text for people. Room for a stack of errors; more is a log's business, not a notice's.
constexpr std::size_t text_bytes = 4'096;
// An exit reason and its causes, counted together. As many as are ever printed, and as many again for newer releases.
constexpr std::size_t reason_links = 32;
static_assert(reason_links > limits::cause_depth);
// Type names from peers that are remembered for good, at most 1 MiB in all. A program has hundreds of message types.
constexpr std::size_t peer_type_names = 4'096;

// Numbers are the same on both sides, so that they can be cast; what is beyond the known ones is handled when read.
template <class Ours, class Theirs>
constexpr bool same_number(Ours a, Theirs b) {
    return static_cast<unsigned>(a) == static_cast<unsigned>(b);
}
static_assert(same_number(role::peer, schema::Role::PEER) && same_number(role::child, schema::Role::CHILD) &&
              same_number(role::parent, schema::Role::PARENT) &&
              same_number(role::shortcut, schema::Role::SHORTCUT));
static_assert(same_number(ending::stop, schema::Ending::STOP) &&
              same_number(ending::shutdown, schema::Ending::SHUTDOWN) &&
              same_number(ending::kill, schema::Ending::KILL) &&
              same_number(ending::pause, schema::Ending::PAUSE) &&
              same_number(ending::resume, schema::Ending::RESUME));
static_assert(same_number(exit_kind::normal, schema::ExitKind::NORMAL) &&
              same_number(exit_kind::stopped, schema::ExitKind::STOPPED) &&
              same_number(exit_kind::killed, schema::ExitKind::KILLED) &&
              same_number(exit_kind::error, schema::ExitKind::ERROR) &&
              same_number(exit_kind::failed, schema::ExitKind::FAILED) &&
              same_number(exit_kind::linked, schema::ExitKind::LINKED) &&
              same_number(exit_kind::start_failed, schema::ExitKind::START_FAILED) &&
              same_number(exit_kind::intensity, schema::ExitKind::INTENSITY) &&
              same_number(exit_kind::abandoned, schema::ExitKind::ABANDONED) &&
              same_number(exit_kind::no_actor, schema::ExitKind::NO_ACTOR) &&
              same_number(exit_kind::significant, schema::ExitKind::SIGNIFICANT) &&
              same_number(exit_kind::node_lost, schema::ExitKind::NODE_LOST) &&
              same_number(exit_kind::limit_reached, schema::ExitKind::LIMIT_REACHED) &&
              same_number(exit_kind::process_ended, schema::ExitKind::PROCESS_ENDED) &&
              same_number(exit_kind::unresponsive, schema::ExitKind::UNRESPONSIVE) &&
              same_number(exit_kind::not_started, schema::ExitKind::NOT_STARTED));

// ---- writing

// As far as `limit` bytes, and not into the middle of a UTF-8 character.
std::string cut(std::string_view s, std::size_t limit) {
    if (s.size() > limit) {
        const auto continues = [&](std::size_t at) {
            return (static_cast<unsigned char>(s[at]) & 0xc0) == 0x80;
        };
        std::size_t end = limit;
        for (int back = 0; back < 3 && end > 0 && continues(end); ++back) --end;
        s = s.substr(0, continues(end) ? limit : end);
    }
    return std::string{s};
}

// A name or a path must not be cut: it would be another's.
std::string whole_or_empty(const std::string& s, std::size_t limit) {
    return s.size() > limit ? std::string{} : s;
}

// Zeros may be in it, so the conversion from std::string, which looks for the first one, will not do.
capnp::Text::Reader text(const std::string& s) { return {s.c_str(), s.size()}; }
std::string name(const std::string& s) { return whole_or_empty(s, limits::name_bytes); }

template <std::size_t Size>
capnp::Data::Reader data(const std::array<std::byte, Size>& a) {
    return {reinterpret_cast<const kj::byte*>(a.data()), a.size()};
}

template <class List, class Range>
void put_numbers(List into, const Range& from) {
    unsigned i = 0;
    for (const std::uint64_t n : from) into.set(i++, n);
}

unsigned count(const auto& list) { return static_cast<unsigned>(list.size()); }

template <class Notice>
void put_reason(Notice notice, const exit_reason& reason) {
    unsigned links = 0;
    for (const exit_reason* r = &reason; r && links < reason_links; r = r->cause()) ++links;
    auto list = notice.initReason(links);
    const exit_reason* r = &reason;
    for (unsigned i = 0; i < links; ++i, r = r->cause()) {
        schema::ExitReason::Builder link = list[i];
        link.setKind(static_cast<schema::ExitKind>(r->kind()));
        link.setText(text(cut(r->text(), text_bytes)));
        link.setOrigin(text(cut(r->origin(), limits::path_bytes)));
        link.setInHand(text(cut(r->in_hand(), limits::name_bytes)));
        link.setCode(static_cast<std::uint8_t>(r->code()));
    }
}

// One overload a kind: fills in the member of the union.
struct writer {
    schema::Control::Builder out;

    void operator()(const hello& m) {
        auto b = out.initHello();
        b.setVersion(m.version);
        b.setRole(static_cast<schema::Role>(m.as));
        b.setWithSecret(m.with_secret);
        b.setPid(m.pid);
        b.setMachine(text(name(m.machine)));
        b.setNode(m.node);
        b.setName(text(name(m.name)));
        b.setChallenge(data(m.challenge));
        put_numbers(b.initAncestors(count(m.ancestors)), m.ancestors);
        if (m.token != token{}) b.setToken(data(m.token));
    }
    void operator()(const proof& m) { out.initProof().setCode(data(m.code)); }
    void operator()(const refusal& m) {
        auto b = out.initRefusal();
        b.setCode(static_cast<std::uint8_t>(m.code));
        b.setText(text(cut(m.text, text_bytes)));
    }
    void operator()(const welcome& m) { out.initWelcome().setSeenAs(text(name(m.seen_as))); }
    void operator()(const farewell& m) { out.initFarewell().setText(text(cut(m.text, text_bytes))); }
    void operator()(const routes& m) {
        auto b = out.initRoutes();
        b.setComplete(m.complete);
        auto added = b.initAdded(count(m.added));
        for (unsigned i = 0; i < count(m.added); ++i) {
            added[i].setNode(m.added[i].node);
            added[i].setName(text(name(m.added[i].name)));
        }
        put_numbers(b.initRemoved(count(m.removed)), m.removed);
    }
    void operator()(const locate& m) {
        auto b = out.initLocate();
        b.setQuery(m.query);
        b.setName(text(name(m.name)));
    }
    void operator()(const located& m) {
        auto b = out.initLocated();
        b.setQuery(m.query);
        b.setNode(m.node);
        b.setName(text(name(m.name)));
    }
    void operator()(const find& m) {
        auto b = out.initFind();
        b.setQuery(m.query);
        b.setPath(text(whole_or_empty(m.path, limits::path_bytes)));
        put_numbers(b.initTypes(count(m.types)), m.types);
    }
    void operator()(const found& m) {
        auto b = out.initFound();
        b.setQuery(m.query);
        b.setActor(m.actor);
        b.setIncarnation(m.incarnation);
        b.setCode(static_cast<std::uint8_t>(m.code));
        b.setText(text(cut(m.text, text_bytes)));
        b.setNode(m.node);
    }
    void operator()(const watch_actor& m) {
        auto b = out.initWatchActor();
        b.setMonitor(m.monitor);
        b.setWatcher(m.watcher);
        b.setTarget(m.target);
        b.setIncarnation(m.incarnation);
    }
    void operator()(const unwatch_actor& m) {
        auto b = out.initUnwatchActor();
        b.setMonitor(m.monitor);
        b.setWatcher(m.watcher);
        b.setTarget(m.target);
    }
    void operator()(const down_notice& m) {
        auto b = out.initDownNotice();
        b.setMonitor(m.monitor);
        b.setWatcher(m.watcher);
        b.setTarget(m.target);
        put_reason(b, m.reason);
    }
    void operator()(const link_actors& m) {
        auto b = out.initLinkActors();
        b.setFrom(m.from);
        b.setTo(m.to);
        b.setIncarnation(m.incarnation);
    }
    void operator()(const unlink_actors& m) {
        auto b = out.initUnlinkActors();
        b.setFrom(m.from);
        b.setTo(m.to);
    }
    void operator()(const exit_notice& m) {
        auto b = out.initExitNotice();
        b.setFrom(m.from);
        b.setTo(m.to);
        put_reason(b, m.reason);
    }
    void operator()(const end_actor& m) {
        auto b = out.initEndActor();
        b.setTarget(m.target);
        b.setHow(static_cast<schema::Ending>(m.how));
        b.setWithinNs(m.within_ns);
    }
    void operator()(const introduce& m) { out.initIntroduce().setNode(m.node); }
    void operator()(const offer& m) {
        auto b = out.initOffer();
        if (m.token != token{}) b.setToken(data(m.token));
        auto endpoints = b.initEndpoints(count(m.endpoints));
        for (unsigned i = 0; i < count(m.endpoints); ++i)
            endpoints.set(i, text(whole_or_empty(m.endpoints[i], limits::path_bytes)));
        b.setMachine(text(name(m.machine)));
        b.setPid(m.pid);
        b.setIsAnswer(m.is_answer);
    }
    void operator()(const arena_mapped& m) { out.initArenaMapped().setArena(m.arena); }
    void operator()(const loans_returned& m) {
        put_numbers(out.initLoansReturned().initNumbers(count(m.numbers)), m.numbers);
    }
    void operator()(const ended& m) {
        auto b = out.initEnded();
        b.setNode(m.node);
        b.setDied(m.died);
        b.setText(text(cut(m.text, text_bytes)));
    }
    void operator()(const memberships& m) {
        auto b = out.initMemberships();
        b.setNode(m.node);
        b.setComplete(m.complete);
        const auto put = [](auto into, const std::vector<membership>& from) {
            for (unsigned i = 0; i < count(from); ++i) {
                into[i].setGroup(text(name(from[i].group)));
                into[i].setActor(from[i].actor);
            }
        };
        put(b.initJoined(count(m.joined)), m.joined);
        put(b.initLeft(count(m.left)), m.left);
    }
};

// ---- reading

// The same characters for as long as the process lives, as exit_reason wants them. When the table is full, new names
// become empty: they are for people, and a peer must not fill our memory.
std::string_view interned(std::string_view name) {
    struct table {
        std::mutex mutex;
        std::set<std::string, std::less<>> names;  // its nodes never move
    };
    static auto* const known = new table;  // never destroyed: actors may end after the statics have
    if (name.empty()) return {};
    const std::lock_guard lock{known->mutex};
    auto at = known->names.find(name);
    if (at == known->names.end()) {
        if (known->names.size() >= peer_type_names) return {};
        at = known->names.emplace(name).first;
    }
    return *at;
}

// Reads the members of the union. The first thing that is wrong is remembered; what is read after it does not count.
class parser {
public:
    result<control> read(schema::Control::Reader in) {
        control message = read_kind(in);
        if (wrong_.code() != errc::ok) return wrong_;
        return message;
    }

private:
    control read_kind(schema::Control::Reader in) {
        using schema::Control;
        switch (in.which()) {
        case Control::HELLO: return given(in.hasHello()) ? read(in.getHello()) : control{};
        case Control::PROOF: return given(in.hasProof()) ? read(in.getProof()) : control{};
        case Control::REFUSAL: return given(in.hasRefusal()) ? read(in.getRefusal()) : control{};
        case Control::WELCOME: return given(in.hasWelcome()) ? read(in.getWelcome()) : control{};
        case Control::FAREWELL: return given(in.hasFarewell()) ? read(in.getFarewell()) : control{};
        case Control::ROUTES: return given(in.hasRoutes()) ? read(in.getRoutes()) : control{};
        case Control::LOCATE: return given(in.hasLocate()) ? read(in.getLocate()) : control{};
        case Control::LOCATED: return given(in.hasLocated()) ? read(in.getLocated()) : control{};
        case Control::FIND: return given(in.hasFind()) ? read(in.getFind()) : control{};
        case Control::FOUND: return given(in.hasFound()) ? read(in.getFound()) : control{};
        case Control::WATCH_ACTOR: return given(in.hasWatchActor()) ? read(in.getWatchActor()) : control{};
        case Control::UNWATCH_ACTOR:
            return given(in.hasUnwatchActor()) ? read(in.getUnwatchActor()) : control{};
        case Control::DOWN_NOTICE: return given(in.hasDownNotice()) ? read(in.getDownNotice()) : control{};
        case Control::LINK_ACTORS: return given(in.hasLinkActors()) ? read(in.getLinkActors()) : control{};
        case Control::UNLINK_ACTORS:
            return given(in.hasUnlinkActors()) ? read(in.getUnlinkActors()) : control{};
        case Control::EXIT_NOTICE: return given(in.hasExitNotice()) ? read(in.getExitNotice()) : control{};
        case Control::END_ACTOR: return given(in.hasEndActor()) ? read(in.getEndActor()) : control{};
        case Control::INTRODUCE: return given(in.hasIntroduce()) ? read(in.getIntroduce()) : control{};
        case Control::OFFER: return given(in.hasOffer()) ? read(in.getOffer()) : control{};
        case Control::ARENA_MAPPED: return given(in.hasArenaMapped()) ? read(in.getArenaMapped()) : control{};
        case Control::LOANS_RETURNED:
            return given(in.hasLoansReturned()) ? read(in.getLoansReturned()) : control{};
        case Control::ENDED: return given(in.hasEnded()) ? read(in.getEnded()) : control{};
        case Control::MEMBERSHIPS: return given(in.hasMemberships()) ? read(in.getMemberships()) : control{};
        }
        refuse(errc::wrong_version, "a control message of kind " + std::to_string(in.which()) +
                                        ", which this release does not know");
        return {};
    }

    control read(schema::Hello::Reader in) {
        hello m;
        m.version = in.getVersion();
        m.as = known(in.getRole(), role::shortcut, "role");
        m.with_secret = in.getWithSecret();
        m.pid = in.getPid();
        m.machine = text_of(in.getMachine(), limits::name_bytes, "machine");
        m.node = in.getNode();
        m.name = text_of(in.getName(), limits::name_bytes, "name");
        bytes_of(in.getChallenge(), m.challenge, "challenge");
        m.ancestors = numbers(in.getAncestors(), most_ancestors, "ancestors");
        if (in.hasToken()) bytes_of(in.getToken(), m.token, "token");
        return m;
    }
    control read(schema::Proof::Reader in) {
        proof m;
        bytes_of(in.getCode(), m.code, "code");
        return m;
    }
    control read(schema::Refusal::Reader in) {
        refusal m;
        m.code = code_of(in.getCode());
        m.text = text_of(in.getText(), text_bytes, "text");
        return m;
    }
    control read(schema::Welcome::Reader in) {
        return welcome{text_of(in.getSeenAs(), limits::name_bytes, "address")};
    }
    control read(schema::Farewell::Reader in) {
        farewell m;
        m.text = text_of(in.getText(), text_bytes, "text");
        return m;
    }
    control read(schema::Routes::Reader in) {
        routes m;
        m.complete = in.getComplete();
        const auto added = in.getAdded();
        if (fits(added.size(), most_routes, "added")) {
            m.added.reserve(added.size());
            for (const schema::NamedNode::Reader n : added)
                m.added.push_back({n.getNode(), text_of(n.getName(), limits::name_bytes, "name")});
        }
        m.removed = numbers(in.getRemoved(), most_routes, "removed");
        return m;
    }
    control read(schema::Locate::Reader in) {
        locate m;
        m.query = in.getQuery();
        m.name = text_of(in.getName(), limits::name_bytes, "name");
        return m;
    }
    control read(schema::Located::Reader in) {
        located m;
        m.query = in.getQuery();
        m.node = in.getNode();
        m.name = text_of(in.getName(), limits::name_bytes, "name");
        return m;
    }
    control read(schema::Find::Reader in) {
        find m;
        m.query = in.getQuery();
        m.path = text_of(in.getPath(), limits::path_bytes, "path");
        m.types = numbers(in.getTypes(), most_types, "types");
        return m;
    }
    control read(schema::Found::Reader in) {
        found m;
        m.query = in.getQuery();
        m.code = code_of(in.getCode());
        m.text = text_of(in.getText(), text_bytes, "text");
        m.actor = in.getActor();
        m.incarnation = in.getIncarnation();
        m.node = in.getNode();
        return m;
    }
    control read(schema::WatchActor::Reader in) {
        return watch_actor{in.getMonitor(), in.getWatcher(), in.getTarget(), in.getIncarnation()};
    }
    control read(schema::UnwatchActor::Reader in) {
        return unwatch_actor{in.getMonitor(), in.getWatcher(), in.getTarget()};
    }
    control read(schema::DownNotice::Reader in) {
        return down_notice{in.getMonitor(), in.getWatcher(), in.getTarget(), reason_of(in.getReason())};
    }
    control read(schema::LinkActors::Reader in) {
        return link_actors{in.getFrom(), in.getTo(), in.getIncarnation()};
    }
    control read(schema::UnlinkActors::Reader in) { return unlink_actors{in.getFrom(), in.getTo()}; }
    control read(schema::ExitNotice::Reader in) {
        return exit_notice{in.getFrom(), in.getTo(), reason_of(in.getReason())};
    }
    control read(schema::EndActor::Reader in) {
        return end_actor{in.getTarget(), known(in.getHow(), ending::resume, "ending"), in.getWithinNs()};
    }
    control read(schema::Introduce::Reader in) { return introduce{in.getNode()}; }
    control read(schema::Offer::Reader in) {
        offer m;
        if (in.hasToken()) bytes_of(in.getToken(), m.token, "token");
        const auto endpoints = in.getEndpoints();
        if (fits(endpoints.size(), most_endpoints, "endpoints"))
            for (const capnp::Text::Reader one : endpoints)
                m.endpoints.push_back(text_of(one, limits::path_bytes, "endpoint"));
        m.machine = text_of(in.getMachine(), limits::name_bytes, "machine");
        m.pid = in.getPid();
        m.is_answer = in.getIsAnswer();
        return m;
    }
    control read(schema::ArenaMapped::Reader in) { return arena_mapped{in.getArena()}; }
    control read(schema::Ended::Reader in) {
        return ended{in.getNode(), in.getDied(), text_of(in.getText(), text_bytes, "text")};
    }
    control read(schema::LoansReturned::Reader in) {
        return loans_returned{numbers(in.getNumbers(), most_returned, "numbers")};
    }
    control read(schema::Memberships::Reader in) {
        return memberships{in.getNode(), in.getComplete(), members_of(in.getJoined(), "joined"),
                           members_of(in.getLeft(), "left")};
    }

    // ---- parts

    void refuse(errc code, std::string why) {
        if (wrong_.code() == errc::ok) wrong_ = error{code, std::move(why)};
    }

    std::vector<membership> members_of(capnp::List<schema::Membership>::Reader in, const char* what) {
        std::vector<membership> all;
        if (fits(in.size(), most_memberships, what))
            for (const auto one : in)
                all.push_back({text_of(one.getGroup(), limits::name_bytes, "group"), one.getActor()});
        return all;
    }

    bool given(bool has) {
        if (!has) refuse(errc::bad_message, "a control message without its contents");
        return has;
    }

    bool fits(std::size_t size, std::size_t limit, const char* what) {
        if (size <= limit) return true;
        refuse(errc::bad_message, std::string{what} + ": " + std::to_string(size) +
                                      " bytes or entries, at most " + std::to_string(limit) + " are taken");
        return false;
    }

    std::string text_of(capnp::Text::Reader in, std::size_t limit, const char* what) {
        return fits(in.size(), limit, what) ? std::string{in.begin(), in.size()} : std::string{};
    }

    template <std::size_t Size>
    void bytes_of(capnp::Data::Reader in, std::array<std::byte, Size>& into, const char* what) {
        if (in.size() == Size) std::memcpy(into.data(), in.begin(), Size);
        else
            refuse(errc::bad_message, std::string{what} + ": " + std::to_string(in.size()) + " bytes, not " +
                                          std::to_string(Size));
    }

    std::vector<std::uint64_t> numbers(capnp::List<std::uint64_t>::Reader in, std::size_t limit,
                                       const char* what) {
        std::vector<std::uint64_t> all;
        if (!fits(in.size(), limit, what)) return all;
        all.reserve(in.size());
        for (const std::uint64_t n : in) all.push_back(n);
        return all;
    }

    // An enumerator that a newer release has added cannot be obeyed.
    template <class Ours, class Theirs>
    Ours known(Theirs in, Ours last, const char* what) {
        const auto number = static_cast<unsigned>(in);
        if (number <= static_cast<unsigned>(last)) return static_cast<Ours>(number);
        refuse(errc::wrong_version,
               std::string{what} + " " + std::to_string(number) + " is not known to this release");
        return Ours{};
    }

    // An error that a newer release has added is still an error.
    static errc code_of(std::uint8_t number) {
        const auto code = static_cast<errc>(number);
        return to_string(code) == "unknown" ? errc::failed : code;
    }
    // And a new kind of end is still an end, but not a clean one.
    static exit_kind kind_of(schema::ExitKind in) {
        const auto number = static_cast<std::uint16_t>(in);
        const auto kind = static_cast<exit_kind>(number);
        return number > 0xff || to_string(kind) == "unknown" ? exit_kind::error : kind;
    }

    exit_reason reason_of(capnp::List<schema::ExitReason>::Reader in) {
        exit_reason reason;
        if (in.size() == 0) refuse(errc::bad_message, "an end without a reason");
        if (!fits(in.size(), reason_links, "reason")) return reason;
        // From the last cause on, so that each is chained once.
        for (unsigned i = in.size(); i-- > 0;) {
            exit_reason link = link_of(in[i]);
            reason = i + 1 == in.size() ? std::move(link) : link.because(reason);
        }
        return reason;
    }
    exit_reason link_of(schema::ExitReason::Reader in) {
        const exit_kind kind = kind_of(in.getKind());
        std::string why = text_of(in.getText(), text_bytes, "text");
        std::string origin = text_of(in.getOrigin(), limits::path_bytes, "origin");
        const capnp::Text::Reader type = in.getInHand();
        const std::string_view in_hand = fits(type.size(), limits::name_bytes, "in hand")
                                             ? interned({type.begin(), type.size()})
                                             : std::string_view{};
        const errc code = code_of(in.getCode());
        if (why.empty() && origin.empty() && in_hand.empty() && code == errc::ok) return exit_reason{kind};
        exit_reason reason{kind, std::move(why), std::move(origin), in_hand};
        return code == errc::ok ? reason : reason.coded(code);
    }

    error wrong_;
};

}  // namespace

std::vector<std::byte> encode(const control& message) {
    capnp::MallocMessageBuilder builder;
    auto root = builder.initRoot<schema::Control>();
    std::visit(writer{root}, message);
    // The canonical form is one segment, and equal messages have equal bytes.
    const kj::Array<capnp::word> words = capnp::canonicalize(root.asReader());
    std::vector<std::byte> bytes(words.size() * sizeof(capnp::word));
    std::memcpy(bytes.data(), words.begin(), bytes.size());
    return bytes;
}

result<control> decode(std::span<const std::byte> bytes) {
    constexpr std::size_t word_bytes = sizeof(capnp::word);
    if (bytes.empty() || bytes.size() % word_bytes != 0)
        return error{errc::bad_message, "a control message of " + std::to_string(bytes.size()) +
                                            " bytes, which is not a positive multiple of 8"};
    COPPICE_ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % word_bytes == 0,
                   "the bytes of a control message are not 8-aligned");
    const auto* first = static_cast<const capnp::word*>(static_cast<const void*>(bytes.data()));
    const kj::ArrayPtr<const capnp::word> segment{first, bytes.size() / word_bytes};
    // Several pointers may lead to the same place: what is read in all stays in proportion to what came. An honest
    // message is read once, and is four pointers deep, which leaves room for newer releases.
    capnp::ReaderOptions options;
    options.traversalLimitInWords = 8 * segment.size() + 1024;
    options.nestingLimit = 32;
    try {
        capnp::SegmentArrayMessageReader reader{kj::arrayPtr(&segment, 1), options};
        return parser{}.read(reader.getRoot<schema::Control>());
    } catch (const kj::Exception& e) {
        return error{errc::bad_message, std::string{e.getDescription().cStr()}};
    }
}

}  // namespace coppice::net
