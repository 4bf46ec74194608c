// Those who follow the mail of this node's actors: what the control actor knows of them, and how they are told. Each has a tap at
// the actor (mail_tap.hpp) and is asked to take what that has, by an own task, one batch after the other: a slow
// one delays nobody, and misses what its tap has no room for. The control actor's thread.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "coppice/coppice.hpp"
#include "mail_tap.hpp"

namespace coppice::detail {

class mail_followers {
public:
    /// `wake` has pass_on() called, soon, on the control actor's thread. Any thread.
    mail_followers(cell* control_actor, std::function<void()> wake);
    ~mail_followers();
    mail_followers(const mail_followers&) = delete;
    mail_followers& operator=(const mail_followers&) = delete;

    void follow(request<control::follow_mail> r);
    /// Some tap has news.
    void pass_on();
    void has_gone(std::uint64_t monitor);

private:
    struct follower {
        std::string path;
        ref<control::mail_reader> to;
        actor_id whom = 0;
        std::shared_ptr<mail_tap> tap;
        bool is_told = false;  // a task sends
        bool is_over = false;  // it has been told the last
        std::atomic<bool> is_refused{
            false};  // true: there is no tap; written at the actor, before the tap wakes
    };
    static task<> tell(actor<anything> self, std::shared_ptr<follower> f);
    result<actor_id> actor_of(const control::follow_mail& wanted) const;
    void forget_ended();

    actor<anything> self_;
    std::function<void()> wake_;
    std::map<std::uint64_t, std::shared_ptr<follower>> all_;  // by the monitor of the follower
};

}  // namespace coppice::detail
