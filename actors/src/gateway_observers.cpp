// Observers: who gets copies of what an agent is told; see gateway_host.hpp.
//
// A copy waits for room in the observer's mailbox, on whatever scheduler or node that is, in a short queue of the observer's own.
// What finds that full is missed, and counted; the count goes out in its place among the copies, or behind the last of them.
// Threading: the gateway's scheduler.
#include <utility>

#include "coppice/own_task.hpp"
#include "gateway_host.hpp"

namespace coppice::actors::web_parts {

namespace {

std::uint64_t bytes_of(const observer::copy& what) noexcept {
    const auto* m = std::get_if<web::message>(&what);
    return m ? m->content.bytes.size() : 0;
}

}  // namespace

void observer::offer(const host_ptr& h, copy what) {
    if (h->abandoned) return;
    const std::uint64_t size = bytes_of(what);
    const bool has_room =
        queue_.empty() || (queue_.size() < observer_messages && bytes_ + size <= observer_bytes);
    if (has_room) {
        bytes_ += size;
        queue_.push_back({std::exchange(missed_, 0), std::move(what)});
    } else {
        ++missed_;
    }
    if (!std::exchange(feeds_, true)) h->self.spawn_task(feed(h, shared_from_this()));
}

task<errc> observer::tell_missed(host_ptr h, std::shared_ptr<observer> o, std::uint64_t count) {
    if (count == 0) co_return errc::ok;
    const errc told = co_await h->self.send_wait<web::missed>(o->who, o->of_, count);
    co_return told;
}

task<errc> observer::tell(host_ptr h, std::shared_ptr<observer> o, entry next) {
    errc told = co_await tell_missed(h, o, next.missed_before);
    if (told != errc::ok) co_return told;
    if (auto* opened = std::get_if<web::opened>(&next.what))
        told = co_await h->self.send_wait<web::opened>(o->who, std::move(*opened));
    else if (auto* message = std::get_if<web::message>(&next.what))
        told = co_await h->self.send_wait<web::message>(o->who, std::move(*message));
    else if (auto* closed = std::get_if<web::closed>(&next.what))
        told = co_await h->self.send_wait<web::closed>(o->who, std::move(*closed));
    co_return told;
}

task<> observer::feed(host_ptr h, std::shared_ptr<observer> o) {
    errc told = errc::ok;
    while (told == errc::ok && (!o->queue_.empty() || o->missed_ != 0)) {
        if (o->queue_.empty()) {
            told = co_await tell_missed(h, o, std::exchange(o->missed_, 0));
            continue;
        }
        entry next = std::move(o->queue_.front());
        o->queue_.pop_front();
        o->bytes_ -= bytes_of(next.what);
        told = co_await tell(h, o, std::move(next));
    }
    // Not ok: it has ended, or is about to, and will be forgotten.
    o->queue_.clear();
    o->bytes_ = o->missed_ = 0;
    o->feeds_ = false;
}

void host::copy_to_observers(const connection& c, const observer::copy& what) {
    const host_ptr me = shared_from_this();
    for (const auto& each : c.around.observers) each->offer(me, what);
    if (!c.at) return;
    for (const auto& each : c.at->around.observers) each->offer(me, what);
}

}  // namespace coppice::actors::web_parts
