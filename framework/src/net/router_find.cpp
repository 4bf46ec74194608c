// Lookups: from "/node/path" or an endpoint to the address of an actor there. First the node is searched for, here, over the
// link that the endpoint names, or by asking the parent; then it is asked for the path. Home thread.
#include <utility>

#include "net/dialer.hpp"
#include "net/neighbour.hpp"
#include "net/peer.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice::net {

namespace {

// The other side does not want this node, now or for good.
bool is_final_refusal(errc code) noexcept {
    return code == errc::name_refused || code == errc::wrong_secret || code == errc::wrong_version ||
           code == errc::bad_name || code == errc::denied || code == errc::invalid_argument;
}
bool is_refusal(errc code) noexcept { return code == errc::name_taken || is_final_refusal(code); }

}  // namespace

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

void router::find_node(std::string name, const void* over, std::int64_t deadline, node_answer answer) {
    searches_.push_back(search{std::move(name), deadline, std::move(answer), 0, 0, over});
    searches_again();
}

// Why a search found nothing: what the attempts to link ended with, if there is no link to ask over.
error router::no_way(const search& to) const {
    for (const auto& d : dialers_) {
        const bool asked = to.over ? d.get() == to.over : d->as == role::parent;
        if (!asked || d->last_error == errc::ok) continue;
        const errc code = is_refusal(d->last_error.code()) ? d->last_error.code() : errc::unreachable;
        return error{code, "no link to " + d->at.where.to_string() + ": " + d->last_error.what()};
    }
    if (to.over) return error{errc::unreachable, "the node at the other end did not say who it is in time"};
    return error{errc::unreachable, "no node named " + to.name + " is known here" +
                                        (has_no_parent() ? ", and there is no parent to ask" : "")};
}

// Those that wait for a link which the other side does not want; trying again changes nothing.
void router::fail_searches(const dialer& over, const error& why) {
    if (!is_final_refusal(why.code())) return;
    std::vector<std::pair<node_answer, error>> told;
    for (auto s = searches_.begin(); s != searches_.end();) {
        if (s->over != &over) {
            ++s;
            continue;
        }
        told.emplace_back(std::move(s->answer), no_way(*s));
        s = searches_.erase(s);
    }
    for (auto& [answer, reason] : told) answer(reason);
}

// Answers the searches that can be answered now: by a known name, by the deadline. Others are asked of the parent, and again
// of one that takes its place.
void router::searches_again() {
    std::vector<std::pair<node_answer, result<node_id>>> told;
    for (auto s = searches_.begin(); s != searches_.end();) {
        node_id node = 0;
        if (!s->name.empty()) {
            const auto known_name = names_.find(s->name);
            if (known_name != names_.end() && way_to(known_name->second)) node = known_name->second;
            // A lost one may have been started again, which those above know; or it is back, and has to be told so.
            if (const peer* p = node ? known(node) : nullptr; p && p->lost) node = 0;
        }
        const bool nobody_to_ask = !s->name.empty() && has_no_parent() && !s->over;
        if (node || nobody_to_ask || s->deadline <= home_.now) {
            told.emplace_back(std::move(s->answer), node ? result<node_id>{node} : no_way(*s));
            s = searches_.erase(s);
            continue;
        }
        if (!s->name.empty() && parent_ && parent_->is_up() && s->asked != parent_->node) {
            s->number = ++last_query_;
            s->asked = parent_->node;
            put_control(peer_of(parent_->node), locate{s->number, s->name});
        }
        ++s;
    }
    for (auto& [answer, node] : told) answer(node);
}

node_id router::node_of_path(std::string_view path) const noexcept {
    for (std::string_view name = path.substr(1); !name.empty();) {
        if (name == node_.name) return id_;
        if (const auto found = names_.find(name); found != names_.end() && way_to(found->second))
            return found->second;
        const auto cut = name.rfind('/');
        name = name.substr(0, cut == std::string_view::npos ? 0 : cut);
    }
    return 0;
}

void router::ask_node(node_id node, std::string path, std::vector<std::uint64_t> types, std::int64_t deadline,
                      find_answer answer) {
    peer& p = peer_of(node);
    const std::uint64_t number = ++last_query_;
    queries_.emplace(
        number, query{[this, node, path, answer = std::move(answer)](const found* f) {
                          if (!f) return answer(error{errc::unreachable, path + ": its node did not answer"});
                          if (f->code != errc::ok) return answer(error{f->code, f->text});
                          const std::uint32_t index = index_of(f->node ? f->node : node);
                          if (!index) return answer(error{errc::limit_reached, path + ": too many nodes"});
                          answer(address::on_node(index, f->actor, f->incarnation));
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
    } else if (const node_id known_place = node_of_path(path); known_place == id_) {
        return answer(detail::find_in(node_, path, wanted));
    } else if (known_place && !peer_of(known_place).lost) {
        return ask_node(known_place, path, std::move(types), deadline, std::move(answer));
    } else {
        name = path.substr(1, path.find('/', 1) - 1);
    }
    find_node(name, over, deadline,
              [this, path, types = std::move(types), deadline, where,
               answer = std::move(answer)](result<node_id> node) {
                  if (!node)
                      return answer(
                          error{node.error().code(), where + ": " + std::string{node.error().text()}});
                  if (*node == id_)
                      return answer(error{errc::invalid_argument, where + " is this node itself"});
                  ask_node(*node, path, types, deadline, answer);
              });
}

}  // namespace coppice::net
