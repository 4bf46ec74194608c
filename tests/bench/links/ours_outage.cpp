// The rows "cut" on Coppice: two nodes, one dials the other through the path. What the sender's `send` accepts is the flow's
// from then on: it is sent again over the next link, as far as the far node has not got it.
#include <memory>

#include "links/ours_links.hpp"
#include "links/outage.hpp"

namespace ours {

using namespace coppice;
using namespace std::chrono_literals;

namespace {

struct numbered {
    std::uint64_t number = 0;
    std::array<std::byte, links::outage_size - sizeof(std::uint64_t)> rest{};
};
using receiver_protocol = protocol<numbered>;
struct nothing {};  // that anybody sends to the sender

task<> receiver(actor<receiver_protocol> self, links::arrivals* seen) {
    while (auto m = co_await self.receive())
        if (const auto* one = m.get_if<numbered>()) seen->came(one->number);
}

struct outage_game {
    const links::row* of;
    const bench::reporter* out;
    const links::helper* far;
    const links::cut_path* way;
};

task<> sender(actor<protocol<nothing>> self, outage_game g) {
    auto found = co_await self.resolve<receiver_protocol>("/far/receiver");
    bench::require(found.has_value(), "the far end is found");
    links::outage game{*g.of, *g.far, *g.way};
    for (std::uint64_t number = 0; game.goes_on(); co_await self.sleep(1ms))
        for (const std::uint64_t due = game.due(); number < due; ++number)
            game.sent(self.send<numbered>(*found, number) == errc::ok);
    while (!game.has_settled()) co_await self.sleep(100ms);
    game.report(*g.out);
}

}  // namespace

void play_outage(const links::row& of, const bench::reporter& out) {
    const links::cut_path way;
    const links::partner far{of};
    node_options chosen = options(of);
    chosen.network.parent = "tcp://127.0.0.1:" + way.in_front_of(far.greeting());
    supervisor_spec tree;
    tree.add(child("sender", in_coroutine, &sender, outage_game{&of, &out, &far, &way})
                 .restarts(restart::temporary)
                 .significant());
    node near{"near", chosen};
    bench::require(near.run(std::move(tree)) == 0, "the near node ends cleanly");
}

void outage_partner(const links::row& of) {
    links::arrivals seen;
    node_options chosen = options(of);
    chosen.network.listen = {listening_place("tcp")};
    supervisor_spec tree;
    tree.add(child("receiver", in_coroutine, &receiver, &seen));
    node far{"far", chosen};
    bench::require(far.start(std::move(tree)).has_value(), "the far node starts");
    const std::string where = far.listening().at(0);
    links::greet(where.substr(where.rfind(':') + 1));
    seen.tell_until_released();
}

}  // namespace ours
