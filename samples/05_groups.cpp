// 05_groups: publish to all who have joined, whoever they are.
//
// A group is a name; joining makes it. A published message reaches each member once, and never its sender. Membership
// survives a restart and ends with the actor.
#include <string>
#include <vector>

#include <coppice/coppice.hpp>
#include <fmt/ranges.h>

using namespace coppice;

// [member]
struct said {
    std::string by;
    std::string text;
};
struct say {
    std::string text;
    using reply = std::size_t;  // how many took it
};
struct heard {
    using reply = std::vector<std::string>;
};
using member_protocol = protocol<said, say, heard>;

task<> member(actor<member_protocol> self, std::string name) {
    self.join("room");
    self.ready();  // the starter goes on: from here on nothing that is published is missed
    std::vector<std::string> lines;
    while (auto m = co_await self.receive())
        m.match([&](const said& s) { lines.push_back(s.by + ": " + s.text); },
                [&](request<say> r) { r.reply(self.publish<said>("room", name, r->text)); },
                [&](request<heard> r) { r.reply(lines); });
}
// [/member]

// [room]
task<> visitor(actor<protocol<>> self) {
    std::vector<ref<member_protocol>> members;
    for (const char* name : {"ann", "bob", "cyd"}) {
        auto started =
            co_await self.start(child(name, in_coroutine, member, std::string{name}).awaits_ready());
        if (!started) co_return self.fail("{} did not start: {}", name, started.error());
        members.push_back(started->assume<member_protocol>());
    }
    auto by_ann = co_await self.ask<say>(members[0], limits::ask_deadline, "is anybody here?");
    auto by_bob = co_await self.ask<say>(members[1], limits::ask_deadline, "I am");
    fmt::print("ann reached {}, bob reached {}\n", by_ann.value(), by_bob.value());
    for (const auto& each : members) {
        auto lines = co_await self.ask<heard>(each);
        fmt::print("{} heard {}\n", each, fmt::join(lines.value(), ", "));
    }
}
// [/room]

int main(int argc, char** argv) {
    supervisor_spec tree;
    tree.add(child("visitor", in_coroutine, visitor).restarts(restart::temporary).significant());
    return node{"chat", argc, argv}.run(tree);
}
