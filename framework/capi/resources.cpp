// Nodes, refs, mails and actors behind handles; see resources.hpp.
#include "resources.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "inbox.hpp"
#include "net/node_table.hpp"
#include "net/router.hpp"
#include "root.hpp"

namespace coppice::c {

// ---------------------------------------------------------------- nodes

result<std::shared_ptr<node_resource>> node_resource::open(std::string name, node_options options) {
    auto made = std::make_shared<node_resource>();
    auto n = std::make_unique<node>(std::move(name), std::move(options));
    // given_back() lingers itself, to tell what comes of it. By now the environment has been read.
    made->linger_ = std::exchange(n->core().options.network.linger, std::chrono::nanoseconds{0});
    if (auto started = n->start(supervisor_spec{strategy::dynamic}); !started) return started.error();
    std::promise<std::uint64_t> told;
    auto id = told.get_future();
    detail::node_core& core = n->core();
    detail::post_control(core.index_list.front()->index,
                         [&told](detail::scheduler& s) { told.set_value(s.node->open_network()->id()); });
    made->attach(core, id.get());
    made->node_ = std::move(n);
    return made;
}

node_resource::~node_resource() {
    static_cast<void>(given_back());
    if (const int fd = stream_; fd >= 0) ::close(fd);
}

int node_resource::open_stream() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        refuse(errc::limit_reached, std::string{"no stream: "} + std::strerror(errno));
    int none = -1;
    if (!stream_.compare_exchange_strong(none, ends[1])) {
        ::close(ends[0]);
        ::close(ends[1]);
        refuse(errc::invalid_argument, "the node has its stream already");
    }
    return ends[0];
}

// A stream that is full has bytes that wake its reader; one that nobody reads any more needs none.
bool node_resource::wake() noexcept {
    const int fd = stream_;
    if (fd < 0) return false;
    static_cast<void>(::send(fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
    return true;
}

void node_resource::attach(detail::node_core& core, std::uint64_t id) {
    const std::lock_guard lock{mutex_};
    // A mail has its envelope beside it.
    core.held_elsewhere = [] { return 2 * handle_table::open(); };
    core_.store(&core, std::memory_order_release);
    id_.store(id, std::memory_order_release);
}

void node_resource::detach() noexcept {
    const std::lock_guard lock{mutex_};
    core_.store(nullptr, std::memory_order_release);
}

void node_resource::remember(const std::shared_ptr<inbox>& box) {
    const std::lock_guard lock{boxes_mutex_};
    std::erase_if(boxes_, [](const auto& one) { return one.expired(); });
    boxes_.push_back(box);
}

error node_resource::given_back() {
    closing_ = true;
    std::vector<std::weak_ptr<inbox>> boxes;
    {
        const std::lock_guard lock{boxes_mutex_};
        boxes = boxes_;
    }
    for (const auto& one : boxes)
        if (const auto box = one.lock()) box->close();
    if (const int fd = stream_; fd >= 0) ::shutdown(fd, SHUT_RDWR);
    if (!node_) {
        if (exit_code.valid()) exit_code.wait();
        return {};
    }
    bool runs = false;
    {
        const std::shared_lock lock{mutex_};
        runs = core_ != nullptr;
    }
    if (!runs) return {};
    node_->stop();
    static_cast<void>(node_->wait());  // its actors end at their limits
    const auto arrived = linger_.count() > 0 ? node_->flush(linger_) : result<void>{};
    detach();
    node_.reset();
    if (arrived) return {};
    return {errc::outcome_unknown, "the node is closed; " + std::string{arrived.error().text()}};
}

// ---------------------------------------------------------------- refs

ref_resource::ref_resource(const detail::address& to, const node_resource& node)
    : named_{to}, seen_by_{node.id()} {
    if (to.is_remote()) {
        reference_ = {net::node_table::id_of(to.node()), to.id_there(), to.incarnation()};
    } else {
        const detail::actor_id now = to.current();
        reference_ = {node.id(), now ? now : to.id(), to.incarnation()};
    }
}

ref<anything> ref_resource::seen_from(const node_resource& node) const {
    const wire_reference& r = reference_;
    if (r.actor == 0) return {};
    if (named_ && seen_by_ == node.id()) return ref<anything>{named_};
    if (r.node == node.id()) {
        // A place that no scheduler can have: whoever wrote it had it from nobody.
        const std::uint32_t at = detail::scheduler_of(r.actor);
        if (at == 0 || at > limits::schedulers) return {};
        return ref<anything>{r.incarnation ? detail::address{r.actor, r.incarnation}
                                           : detail::address{r.actor, nullptr}};
    }
    const std::uint32_t index = net::node_table::index_of(r.node);
    if (!index) refuse(errc::limit_reached, "more nodes than are remembered");
    return ref<anything>{detail::address::on_node(index, r.actor, r.incarnation)};
}

std::string ref_resource::text() const { return named_ ? named_.to_string() : to_string(value{reference_}); }

coppice_ref handle_of(std::shared_ptr<ref_resource> r) { return handle_table::add(kind::ref, std::move(r)); }

// ---------------------------------------------------------------- mails

std::shared_ptr<ref_resource> mail_resource::sender() const {
    if (found || !from) return found;
    return std::make_shared<ref_resource>(from, *node);
}

error mail_resource::given_back() {
    closed.store(true, std::memory_order_release);
    if (what == COPPICE_REQUEST) drop();  // of anything else nobody waits to hear
    return {};
}

void mail_resource::drop() noexcept {
    detail::envelope* const e = envelope_.exchange(nullptr);
    if (!e) return;
    // A value has nothing of the node's in it.
    if (!(e->flags & detail::envelope::owes_reply) && detail::same_type(e->type, detail::type_of<value>))
        return detail::release(e);
    if (!node->if_running([&](detail::node_core&) { detail::release(e); })) {
        // Its sender has learnt from the node's end that there is no reply.
        e->flags &= static_cast<std::uint8_t>(~detail::envelope::owes_reply);
        detail::release(e);
    }
}

void mail_resource::bury(std::string_view path) noexcept {
    if (what != COPPICE_REQUEST && what != mark) {
        // It may be looked at by its handle, from when it was peeked at.
        node->if_running([&](detail::node_core& core) {
            if (detail::envelope* const e = envelope_) core.bury(e, errc::down, path);
        });
        return;
    }
    detail::envelope* const e = envelope_.exchange(nullptr);
    if (!e) return;
    if (!node->if_running([&](detail::node_core& core) {
            core.bury(e, errc::down, path);
            if (e->flags & detail::envelope::owes_reply) detail::send_failure(e, errc::down);
            else detail::release(e);
        })) {
        e->flags &= static_cast<std::uint8_t>(~detail::envelope::owes_reply);
        detail::release(e);
    }
}

const std::shared_ptr<mail_resource>& unseen_mail::see(const std::shared_ptr<node_resource>& node) {
    if (is_seen()) return mail()->unseen;
    detail::envelope* const e = message();
    auto m = mail_resource::make(node, e);
    m->urgent = e->lane != lane::normal;
    m->what = COPPICE_MESSAGE;
    m->from = detail::ref_of_sender(e);
    m->hold(e);
    keep(std::move(m));
    return mail()->unseen;
}

std::shared_ptr<ref_resource> unseen_mail::sender(const node_resource& node) const {
    if (is_seen()) return mail()->sender();
    const auto who = detail::ref_of_sender(message());
    return who ? std::make_shared<ref_resource>(who, node) : nullptr;
}

void unseen_mail::bury(node_resource& node, std::string_view path) noexcept {
    if (is_seen()) return mail()->bury(path);
    node.if_running([&](detail::node_core& core) { core.bury(message(), errc::down, path); });
}

detail::envelope* mail_resource::take_request() {
    if (what != COPPICE_REQUEST)
        refuse(errc::invalid_argument, "`request` is a mail that nobody waits for an answer to");
    detail::envelope* const e = envelope_.exchange(nullptr);
    if (!e) refuse(errc::closed, "the request was answered before");
    return e;
}

void mail_resource::answer(value v) {
    const detail::guest_turn turn{lease.get(), detail::drive_lease::errand::send};
    const bool runs = node->if_running([&](detail::node_core&) {
        detail::envelope* e = take_request();
        struct owner {  // the reply may find no memory: the asker is still answered
            detail::envelope* e;
            ~owner() {
                if (e) detail::release(e);
            }
        } hold{e};
        detail::envelope* reply = detail::make_envelope<value>(0, e->target, std::move(v));
        hold.e = nullptr;
        detail::send_reply(e, reply);
    });
    if (!runs) refuse(errc::stopping, "the node has ended");
}

void mail_resource::fail(std::string text) {
    const detail::guest_turn turn{lease.get(), detail::drive_lease::errand::send};
    const bool runs = node->if_running([&](detail::node_core&) {
        detail::send_failure(take_request(), error{errc::failed, std::move(text)});
    });
    if (!runs) refuse(errc::stopping, "the node has ended");
}

// ---------------------------------------------------------------- actors

namespace {

// Ends it by its supervisor, which then forgets the name.
task<> end_child(actor<anything> self, ref<anything> root, std::string name,
                 std::shared_ptr<detail::blocking_answer<void>> answer) {
    answer->set(co_await self.ask<terminate_child>(root, 2 * limits::shutdown_deadline, std::move(name)));
}

}  // namespace

actor_resource::~actor_resource() {
    if (server.joinable()) {
        if (server.get_id() == std::this_thread::get_id()) server.detach();
        else server.join();
    }
}

error actor_resource::given_back() {
    box->close();
    if (node->has_supervisor()) {
        waiting<void> ended;
        const auto name = box->path().substr(box->path().rfind('/') + 1);
        node->if_running([&](detail::node_core& core) {
            const ref<anything> root{detail::address{core.root.load(std::memory_order_acquire), nullptr}};
            detail::run_under_root(core, [root, name, answer = ended.answer](actor<anything> self) {
                return end_child(self, root, name, answer);
            });
        });
        static_cast<void>(ended.get());  // not_found: it had ended before
    }
    std::thread serving;
    {
        const std::lock_guard lock{handlers_mutex};
        serving.swap(server);
    }
    if (!serving.joinable()) return {};
    if (serving.get_id() == std::this_thread::get_id()) serving.detach();  // in a handler: it ends behind it
    else serving.join();
    return {};
}

// ---------------------------------------------------------------- what sends

detail::actor_id sender::id() const noexcept { return actor ? actor->box->id() : 0; }

detail::drive_lease* sender::lease() const noexcept { return actor ? actor->box->lease().get() : nullptr; }

sender sender_of(coppice_handle from) {
    sender s;
    if (handle_table::is_kind(from, kind::actor)) {
        s.actor = use<actor_resource>(from, "from");
    } else {
        if (!handle_table::is_kind(from, kind::node))
            refuse_handle(from, found::no_handle, "from", "an actor or a node");
        s.node_handle = use<node_resource>(from, "from");
    }
    return s;
}

void run_in_node(node_resource& node, std::function<task<>(actor<anything>)> body) {
    node.with([&](detail::node_core& core) { detail::run_under_root(core, std::move(body)); });
}

void find_actor_later(node_resource& node, std::string path,
                      std::function<void(result<detail::address>)> told) {
    const auto* wanted = &detail::info_of_protocol<anything>::value;
    node.with([&](detail::node_core& core) {
        if (detail::leads_elsewhere(core, path)) detail::find_far(core, path, wanted, std::move(told));
        else told(detail::find_in(core, path, wanted));
    });
}

result<detail::address> find_actor(node_resource& node, std::string path) {
    waiting<detail::address> told;
    find_actor_later(node, std::move(path), [answer = told.answer](result<detail::address> found) {
        answer->set(std::move(found));
    });
    return told.get();
}

}  // namespace coppice::c
