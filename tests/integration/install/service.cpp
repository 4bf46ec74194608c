// An outside program whose service is generated with what is installed: the plug-in, the annotations, coppice_generate().
#include <cstdio>

#include <coppice/coppice.hpp>

#include "greeter.coppice.hpp"

using namespace coppice;

class polite : public outside::greeter::server {
public:
    using server::server;

protected:
    task<> greet(request<outside::greeter::Greet> r) override { co_return r.reply("hello from " + r->name); }
};
task<> greeter(outside::greeter::service_actor self) {
    polite all{self};
    co_await all.serve_clients();
}

task<> guest(actor<outside::greeter::notifications> self) {
    auto service = co_await self.resolve<outside::greeter::service_protocol>("greeter");
    auto hall = (co_await outside::greeter::join(self, service.value())).value();
    auto heard = co_await hall.greet("outside");
    std::puts(heard.value().greeting.c_str());
}

int main() {
    supervisor_spec tree;
    tree.add(child("greeter", in_coroutine, greeter))
        .add(child("guest", in_coroutine, guest).restarts(restart::temporary).significant());
    node_options options;
    options.log_terminal = false;
    return node{"hall", options}.run(tree);
}
