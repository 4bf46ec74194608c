// Lookups: from "/node/path" or an endpoint to the address of an actor there. First the node is searched for, here, over the
// link that the endpoint names, or by asking the parent; then it is asked for the path. Home thread.
#include <utility>

#include "net/dialer.hpp"
#include "net/neighbour.hpp"
#include "net/peer.hpp"
#include "net/router.hpp"

namespace coppice::net {

void router::end_queries(const std::function<bool(const query&)>& which) {
    std::vector<std::function<void(const found*)>> unanswered;
    for (auto q = queries_.begin(); q != queries_.end();) {
        if (which(q->second)) {
            unanswered.push_back(std::move(q->second.answer));
            q = queries_.erase(q);
        } else {
            ++q;
        }
    }
    for (auto& tell : unanswered) tell(nullptr);  // which may ask anew
}

void router::find_node(std::string name, const void* over, std::int64_t deadline,
                       std::function<void(node_id)> answer) {
    searches_.push_back(search{std::move(name), deadline, std::move(answer), 0, over});
    searches_again();
}

// Answers the searches that can be answered now: by a known name, by the deadline. Others are asked of the parent, once a link.
void router::searches_again() {
    std::vector<std::pair<std::function<void(node_id)>, node_id>> told;
    for (auto s = searches_.begin(); s != searches_.end();) {
        node_id node = 0;
        if (!s->name.empty()) {
            const auto known_name = names_.find(s->name);
            if (known_name != names_.end() && way_to(known_name->second)) node = known_name->second;
        }
        const bool nobody_to_ask = !s->name.empty() && options_.parent.empty() && !s->over;
        if (node || nobody_to_ask || s->deadline <= home_.now) {
            told.emplace_back(std::move(s->answer), node);
            s = searches_.erase(s);
            continue;
        }
        if (!s->name.empty() && parent_ && parent_->is_up() && s->number == 0) {
            s->number = ++last_query_;
            put_control(peer_of(parent_->node), locate{s->number, s->name});
        }
        ++s;
    }
    for (auto& [answer, node] : told) answer(node);
}

void router::ask_node(node_id node, std::string path, std::vector<std::uint64_t> types, std::int64_t deadline,
                      find_answer answer) {
    peer& p = peer_of(node);
    const std::uint64_t number = ++last_query_;
    queries_.emplace(
        number, query{[this, node, path, answer = std::move(answer)](const found* f) {
                          if (!f) return answer(error{errc::unreachable, path + ": its node did not answer"});
                          if (f->code != errc::ok) return answer(error{f->code, f->text});
                          answer(address::on_node(peer_of(node).index, f->actor, f->incarnation));
                      },
                      node, deadline});
    put_control(p, net::find{number, path, std::move(types)});
}

void router::find(std::string where, const detail::protocol_info* wanted, find_answer answer) {
    std::vector<std::uint64_t> types;
    if (!wanted->any)
        for (const detail::message_type* m : wanted->messages) types.push_back(m->id);
    const std::int64_t deadline = now() + limits::ask_deadline.count();
    std::string path = where;
    std::string name;
    const dialer* over = nullptr;
    if (where.find("://") != std::string::npos) {
        auto at = place_of(where);
        if (!at) return answer(at.error());
        path = std::exchange(at->where.actor, {});
        if (path.empty())
            return answer(
                error{errc::invalid_argument, where + " names no actor: add its path, as in #/app/counter"});
        for (const auto& d : dialers_)
            if (d->at.where == at->where) over = d.get();
        if (!over) over = &add_dialer(*std::move(at), role::peer);
        else if (over->link && over->link->is_up()) name = over->link->name;
    } else {
        name = path.substr(1, path.find('/', 1) - 1);
    }
    find_node(
        name, over, deadline,
        [this, path, types = std::move(types), deadline, where, answer = std::move(answer)](node_id node) {
            if (!node) return answer(error{errc::unreachable, "no way to the node of " + where});
            if (node == id_) return answer(error{errc::invalid_argument, where + " is this node itself"});
            ask_node(node, path, types, deadline, answer);
        });
}

}  // namespace coppice::net
