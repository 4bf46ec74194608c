// probe<P>: an actor in a world whose mailbox the test reads: a stand-in for whoever the actor under test talks to.
//
//     testing::probe<protocol<alarm>> listener{world};
//     world.send<subscribe>(source, listener.ref());
//     EXPECT_EQ(listener.expect<alarm>().text, "counter above 100");
//     listener.expect_nothing(1s);
#pragma once
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "coppice/testing/world.hpp"

namespace coppice::testing {

template <any_protocol P>
class probe {
public:
    /// Lives as a child of the node's root; ends with the node. The first node if none is named.
    explicit probe(world& w, std::string_view node = {}) : world_{w}, mail_{std::make_shared<mailbox>()} {
        world_.run_under_some_root([mail = mail_](actor<anything> host) { return hold(host, mail); }, node);
        world_.run_until([&] { return mail_->self != nullptr; });
        if (!mail_->self) throw expectation_failed{"a probe needs a node that runs"};
    }
    probe(const probe&) = delete;
    probe& operator=(const probe&) = delete;
    ~probe() { mail_->mail.clear(); }

    [[nodiscard]] coppice::ref<P> ref() const { return handle().me(); }
    /// The probe as an actor: send, monitor, link, join as it.
    [[nodiscard]] actor<P> handle() const { return actor<P>{mail_->self}; }

    /// Runs the world until a message comes, and takes it. Throws expectation_failed if it is no M, or none comes in time.
    template <message M>
    M expect(std::chrono::nanoseconds within = std::chrono::seconds{5}) {
        received<P> m = next(within, detail::declared_name<M>());
        auto* body = m.template get_if<M>();
        if (!body)
            throw expectation_failed{wanted(detail::declared_name<M>()) + "but got " +
                                     std::string{m.type_name()}};
        return std::move(*body);
    }
    /// The same for a request, to be answered by the test.
    template <has_reply M>
    request<M> expect_request(std::chrono::nanoseconds within = std::chrono::seconds{5}) {
        received<P> m = next(within, detail::declared_name<M>());
        if (!m.template is<M>())
            throw expectation_failed{wanted(detail::declared_name<M>()) + "but got " +
                                     std::string{m.type_name()}};
        return m.template take<M>();
    }
    /// No message comes within that virtual time.
    void expect_nothing(std::chrono::nanoseconds within = std::chrono::nanoseconds{0}) {
        world_.run_until_idle();
        if (within.count() > 0) world_.advance(within);
        if (!mail_->mail.empty())
            throw expectation_failed{"expected no message, but got " +
                                     std::string{mail_->mail.front().type_name()}};
    }
    [[nodiscard]] std::size_t waiting() const noexcept { return mail_->mail.size(); }

private:
    struct mailbox {
        std::deque<received<P>> mail;
        detail::cell* self = nullptr;
    };
    static task<> hold(actor<anything> host, std::shared_ptr<mailbox> mail) {
        const actor<P> self{host.cell()};
        mail->self = self.cell();
        while (auto m = co_await self.receive()) mail->mail.push_back(std::move(m));
    }
    static std::string wanted(std::string_view type) {
        return "expected a message " + std::string{type} + ", ";
    }
    received<P> next(std::chrono::nanoseconds within, std::string_view type) {
        world_.run_until([&] { return !mail_->mail.empty(); }, within);
        if (mail_->mail.empty()) throw expectation_failed{wanted(type) + "but none came"};
        received<P> m = std::move(mail_->mail.front());
        mail_->mail.pop_front();
        return m;
    }

    world& world_;
    std::shared_ptr<mailbox> mail_;
};

}  // namespace coppice::testing
