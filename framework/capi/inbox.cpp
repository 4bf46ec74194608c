// The inbox, and the coroutine that fills it; see inbox.hpp.
// Messages become values on the scheduler's thread, where the nodes that their refs name are known.
#include "inbox.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "coppice/any_request.hpp"
#include "guest_news.hpp"
#include "net/foreign.hpp"
#include "net/router.hpp"
#include "net/wire_addresses.hpp"

namespace coppice::c {

// ---------------------------------------------------------------- what came, as mail

namespace {

// A message of a C++ type of this process, as the wire would show it; empty if it cannot leave the process.
std::optional<value> shown(const detail::envelope* e, net::router& router) {
    const auto* type = e->type;
    if (!type->wire) return {};
    const void* body = reinterpret_cast<const std::byte*>(e) + type->offset;
    std::vector<std::byte> bytes(type->wire->size(body));
    if (bytes.empty()) return {};
    net::wire_addresses context{router.id(), router};
    type->wire->write(body, bytes.data(), context);
    auto v = value::decode(bytes);
    if (!v) return {};
    if (auto* r = v->get_if<value::record>()) r->type = type->id;
    return *std::move(v);
}

// Words of an encoding that is none of values: a struct that Cap'n Proto generated, with its type's id as the tag.
value opaque(const detail::foreign_message& f) {
    return tagged_value(f.type, {reinterpret_cast<const char*>(f.words.data()), f.words.size() * 8});
}

std::optional<value> value_in(received<anything>& m, net::router& router) {
    const detail::envelope* e = m.peek();
    if (detail::same_type(e->type, detail::type_of<any_request>)) return detail::body<any_request>(e).what;
    if (auto* v = m.get_if<value>()) return std::move(*v);
    if (e->type->id == detail::foreign_type) return opaque(detail::body<detail::foreign_message>(e));
    return shown(e, router);
}

// None: a dead letter, which its sender has been told.
unseen_mail mail_of(actor<anything> self, received<anything> m, const inbox& box) {
    const bool asked = m.peek()->flags & detail::envelope::owes_reply;
    if (!asked && m.get_if<value>()) return unseen_mail{m.release()};  // nearly all are that
    const std::shared_ptr<node_resource>& node = box.node();
    const bool urgent = m.peek()->lane != lane::normal;
    if (const auto* d = m.get_if<down>()) {
        auto mail = mail_resource::make(node, value{d->reason.to_string()});
        mail->urgent = urgent;
        mail->what = COPPICE_ENDED;
        mail->number = d->monitor;
        mail->from = d->who;
        return unseen_mail{std::move(mail)};
    }
    // A mark is answered where the program comes to it.
    const bool is_mark = m.is<mail_mark>();
    auto v = is_mark ? value{} : value_in(m, *self.cell()->sched->node->open_network());
    if (!v) {
        detail::unhandled(m.release());
        return {};
    }
    auto mail = mail_resource::make(node, *std::move(v));
    mail->urgent = urgent;
    if (!is_mark) mail->what = asked ? COPPICE_REQUEST : COPPICE_MESSAGE;
    mail->from = m.sender();
    if (asked) mail->lease = box.lease();
    mail->hold(m.release());
    return unseen_mail{std::move(mail)};
}

bool is_killed(actor<anything> self) noexcept { return self.cell()->attention & detail::cell::kill; }

// What is handed over together. The inbox hears of the coroutine's end, however it ends.
struct handover {
    static constexpr std::size_t most = 64;
    explicit handover(inbox* b) : box_{b} { mails_.reserve(most); }
    handover(handover&&) = delete;
    ~handover() {
        now();
        box_->set_ended();
    }
    void add(unseen_mail mail) {
        some_are_urgent_ |= mail.is_urgent();
        mails_.push_back(std::move(mail));
        if (mails_.size() >= most) now();
    }
    void now() { box_->put(mails_, std::exchange(some_are_urgent_, false)); }

private:
    inbox* const box_;
    std::vector<unseen_mail> mails_;
    bool some_are_urgent_ = false;
};

// receive(), before whose waiting, for whatever it waits, all that was taken is handed over.
struct receive_operation : detail::receive_operation<anything> {
    handover* taken;
    receive_operation(detail::cell* c, handover* t) noexcept
        : detail::receive_operation<anything>{c}, taken{t} {}
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) {
        taken->now();
        return detail::receive_operation<anything>::await_suspend(h);
    }
};

}  // namespace

task<> take_mail(actor<anything> self, std::shared_ptr<inbox> box) {
    handover taken{box.get()};
    box->started(self);
    bool ending = false;
    while (!ending) {
        try {
            auto m = co_await receive_operation{self.cell(), &taken};
            if (!m) break;
            __builtin_prefetch(self.cell()->head);  // the next one
            if (unseen_mail mail = mail_of(self, std::move(m), *box)) taken.add(std::move(mail));
            co_await box->gate(false);
        } catch (const cancelled&) {
            if (is_killed(self)) throw;
            ending = true;
        }
    }
    taken.now();
    box->set_stopping();
    while (!box->is_closed()) {
        try {
            co_await box->gate(true);
        } catch (const cancelled&) {
            if (is_killed(self)) throw;
        }
    }
    if (const std::string why = box->give_up_text(); !why.empty()) self.fail("{}", why);
}

// ---------------------------------------------------------------- the coroutine's side

inbox::~inbox() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

void inbox::started(actor<anything> self) {
    detail::node_core& core = *self.cell()->sched->node;
    if (!node_->has_supervisor() && !node_->id()) {
        node_->attach(core, core.open_network()->id());
        has_node_ = true;
    }
    const std::lock_guard lock{mutex_};
    id_ = self.me().id();
    me_ = self.me();
    path_ = self.path();
    if (!has_started_) {
        lent_ = self.cell()->sched;
        lease_ = lent_->drive->lease();
        constexpr std::size_t part = 16;  // of the mailbox
        ahead_ = std::clamp<std::size_t>(self.cell()->capacity / part, least_ahead, most_ahead);
    }
    has_started_ = true;
    changed_.notify_all();
}

void inbox::put(std::shared_ptr<mail_resource> m) {
    std::vector<unseen_mail> one;
    const bool urgent = m->urgent;
    one.emplace_back(std::move(m));
    put(one, urgent);
    const std::lock_guard lock{mutex_};
    if (is_driving_) lease_->interrupt();
}

void inbox::put(std::vector<unseen_mail>& mails, bool some_are_urgent) {
    if (mails.empty()) return;
    {
        const std::lock_guard lock{mutex_};
        if (is_closed_) {
            for (auto& m : mails) m.bury(*node_, path_);
            return mails.clear();
        }
        if (some_are_urgent) {
            for (auto& m : mails) (m.is_urgent() ? urgent_ : normal_).push_back(std::move(m));
            mails.clear();
        } else {
            normal_.append(mails);
        }
        has_news_ = true;
        tell_outside();
        // While the coroutine waits, answers come past it, and take() alone lets it go on.
        if (urgent_.size() + normal_.size() >= ahead_) is_full_ = true;
    }
    changed_.notify_all();  // who wakes finds the mutex free
}

void inbox::set_stopping() {
    const std::lock_guard lock{mutex_};
    is_stopping_ = true;
    tell();
}

void inbox::cut_sends() {
    is_over_ = true;
    if (!sends_.empty())
        node_->if_running([&](detail::node_core&) {
            for (const detail::outside_send* one : sends_) one->withdraw();
        });
}

void inbox::add_send(const detail::outside_send& one) {
    const std::lock_guard lock{mutex_};
    sends_.push_back(&one);
    if (is_over_) node_->if_running([&](detail::node_core&) { one.withdraw(); });
}

bool inbox::remove_send(const detail::outside_send& one) {
    const std::lock_guard lock{mutex_};
    std::erase(sends_, &one);
    return is_over_;
}

void inbox::set_ended() {
    {
        const std::lock_guard lock{mutex_};
        cut_sends();
    }
    // Of a process child: its node goes with it.
    if (has_node_) node_->detach();
    const std::lock_guard lock{mutex_};
    has_ended_ = is_stopping_ = true;
    tell();
}

void inbox::gate_operation::on_cancel(detail::pending* p, detail::strand* s) noexcept {
    if (s->state != detail::strand::waiting) return;
    static_cast<gate_operation*>(p)->box->gate_ = nullptr;
    s->sched->make_ready(s);
}

bool inbox::is_open(bool until_closed) const noexcept {
    if (!until_closed && !is_full_) return true;  // the coroutine alone makes it full, or an answer does
    const std::lock_guard lock{mutex_};
    return is_closed_ || (!until_closed && !is_full_);
}

// On the scheduler's thread.
void inbox::open_gate() noexcept {
    if (detail::strand* s = std::exchange(gate_, nullptr); s && s->state == detail::strand::waiting)
        s->sched->make_ready(s);
}

std::string inbox::give_up_text() const {
    const std::lock_guard lock{mutex_};
    return failure_;
}

// ---------------------------------------------------------------- the program's side

// Wakes who waits. Under the mutex.
void inbox::tell() {
    has_news_ = true;
    if (is_driving_) lease_->interrupt();
    changed_.notify_all();
    tell_outside();
}

void inbox::tell_outside() noexcept {
    const std::uint64_t one = 1;
    if (descriptor_ >= 0) static_cast<void>(::write(descriptor_, &one, sizeof one));
    if (!has_woken_) has_woken_ = node_->wake();
}

// None: there is no mail that ends it. What the program never sees is taken out.
std::optional<errc> inbox::look(looker by, std::vector<unseen_mail>& dropped) {
    for (unseen_mails* q : {&urgent_, &normal_}) {
        for (auto m = q->begin(); m != q->end();) {
            const mail_resource* const seen = m->seen();
            if (seen && (seen->what == mail_resource::mark || seen->closed)) [[unlikely]] {
                // Behind mail that stays it is not come to yet.
                if (m != q->begin() && !seen->closed) {
                    ++m;
                    continue;
                }
                dropped.push_back(std::move(*m));
                m = q->erase(m);
                continue;
            }
            if (const auto outcome = by.look(by.with, *m)) {
                if (!*m) q->erase(m);
                return outcome;
            }
            ++m;
        }
    }
    return {};
}

// Until there are news, or for another reason. The scheduler, which brings the mail, is run here meanwhile unless another thread
// does that.
void inbox::wait(std::unique_lock<std::mutex>& lock, std::chrono::steady_clock::time_point until) {
    if (!lease_) return static_cast<void>(changed_.wait_until(lock, until));
    if (!is_driving_) {
        is_driving_ = true;
        has_news_ = false;
        lock.unlock();
        const detail::waits_for_news here{has_news_};
        const bool ran = detail::run_as_guest(*lease_, until, [this] { return has_news_.load(); });
        lock.lock();
        is_driving_ = false;
        if (ran || has_news_) return;
    }
    lease_->stand_by(true);
    changed_.wait_until(lock, until);
    lease_->stand_by(false);
}

errc inbox::wait_for_mail(std::unique_lock<std::mutex>& lock, std::chrono::nanoseconds within, looker by) {
    std::vector<unseen_mail> dropped;                            // destroyed without the lock
    std::optional<std::chrono::steady_clock::time_point> until;  // no look at the clock where mail is there
    errc outcome = errc::ok;
    for (;;) {
        if (is_closed_) {
            outcome = errc::stopping;
            break;
        }
        if (const auto found = look(by, dropped)) {
            outcome = *found;
            break;
        }
        if (!dropped.empty()) {  // who waits for that is told now
            lock.unlock();
            dropped.clear();
            lock.lock();
            continue;
        }
        if (is_stopping_) {
            outcome = errc::stopping;
            break;
        }
        const auto now = std::chrono::steady_clock::now();
        if (!until) until = now + within;
        if (now >= *until) {
            outcome = errc::timeout;
            break;
        }
        wait(lock, *until);
    }
    has_woken_ = false;
    settle(lock);
    return outcome;
}

// After a look: what there is room for now comes, and the descriptor says what is left. Unlocks.
void inbox::settle(std::unique_lock<std::mutex>& lock) {
    const std::size_t left = urgent_.size() + normal_.size();
    const bool opens = is_full_ && left <= ahead_ / 2;
    if (opens) is_full_ = false;
    if (descriptor_ >= 0 && left == 0 && !is_stopping_ && !is_closed_) {
        std::uint64_t count = 0;
        static_cast<void>(::read(descriptor_, &count, sizeof count));
    }
    lock.unlock();
    if (!opens) return;
    const detail::guest_turn turn{lease_.get(), detail::drive_lease::errand::take};
    post([box = shared_from_this()](detail::scheduler&, detail::cell*) { box->open_gate(); });
}

errc inbox::take(std::chrono::nanoseconds within, const std::function<bool(const mail_resource&)>& wanted,
                 std::shared_ptr<mail_resource>& out) {
    unseen_mail taken;
    const errc outcome = look_through(within, [&](unseen_mail& m) -> std::optional<errc> {
        if (wanted && !wanted(*m.see(node_))) return {};
        taken = std::move(m);
        return errc::ok;
    });
    if (taken) out = taken.see(node_);
    return outcome;
}

errc inbox::peek(std::chrono::nanoseconds within, coppice_handle& out) {
    return look_through(within, [&](unseen_mail& m) {
        const auto& mail = m.see(node_);
        if (!mail->handle) mail->handle = handle_table::add(kind::mail, mail);
        out = mail->handle;
        return std::optional{errc::ok};
    });
}

int inbox::descriptor() {
    const std::lock_guard lock{mutex_};
    if (descriptor_ < 0) {
        descriptor_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (descriptor_ < 0)
            refuse(errc::limit_reached, std::string{"no descriptor: "} + std::strerror(errno));
        if (!urgent_.empty() || !normal_.empty() || is_stopping_ || is_closed_) tell();
    }
    return descriptor_;
}

void inbox::close() {
    unseen_mails urgent;
    unseen_mails normal;
    {
        const std::lock_guard lock{mutex_};
        if (is_closed_) return;
        is_closed_ = true;
        cut_sends();
        std::swap(urgent, urgent_);
        std::swap(normal, normal_);
        tell();
    }
    for (unseen_mails* left : {&urgent, &normal})
        for (unseen_mail& mail : *left) mail.bury(*node_, path_);
    post([box = shared_from_this()](detail::scheduler& s, detail::cell* c) {
        if (c) detail::actor_calls::shutdown(&s, box->me_, limits::shutdown_deadline);
        box->open_gate();
    });
}

void inbox::give_up(std::string text) {
    const std::lock_guard lock{mutex_};
    failure_ = std::move(text);
}

void inbox::look_again() {
    const std::lock_guard lock{mutex_};
    tell();
}

void inbox::forget_end(std::uint64_t number) {
    const std::lock_guard lock{mutex_};
    urgent_.erase_if([&](const unseen_mail& each) {
        const mail_resource* const m = each.seen();
        return m && m->what == COPPICE_ENDED && m->number == number && !m->handle;
    });
}

bool inbox::is_closed() const {
    const std::lock_guard lock{mutex_};
    return is_closed_;
}

bool inbox::wait_started() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return has_started_ || has_ended_; });
    return has_started_;
}

void run_beside(inbox& box, std::function<task<>(actor<anything>)> body) {
    box.post([body = std::move(body)](detail::scheduler&, detail::cell* c) {
        if (!c || (c->attention & detail::cell::ended)) return;
        const actor<anything> self{c};
        self.spawn_task(body(self));
    });
}

}  // namespace coppice::c
