// 09_asio: sockets inside actors: every asynchronous operation of Boost.Asio can be awaited.
//
// The token is coppice::await. An await resumes on the actor's scheduler, throws what the operation fails with, and is
// cancelled with its actor: ending the tree ends every accept and read that is under way, and closes the sockets.
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <coppice/await.hpp>
#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;
using boost::asio::ip::tcp;

// [session]
// One connection: an actor without a name, whose crash would be nobody else's.
task<> session(actor<protocol<>>, tcp::socket socket) {
    std::string line;
    for (;;) {
        auto [failure, size] = co_await boost::asio::async_read_until(
            socket, boost::asio::dynamic_buffer(line), '\n', boost::asio::as_tuple(coppice::await));
        if (failure) co_return;  // the far end has closed
        std::string answer = line.substr(0, size);
        line.erase(0, size);
        std::transform(answer.begin(), answer.end(), answer.begin(),
                       [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        co_await boost::asio::async_write(socket, boost::asio::buffer(answer), coppice::await);
    }
}
// [/session]

// [server]
struct get_port {
    using reply = std::uint16_t;
};
using server_protocol = protocol<get_port>;

task<> accept_all(actor<server_protocol> self, tcp::acceptor acceptor) {
    for (;;) {
        tcp::socket socket = co_await acceptor.async_accept(coppice::await);
        self.spawn(session, std::move(socket));
    }
}

task<> server(actor<server_protocol> self) {
    tcp::acceptor acceptor{io_context_of(self), tcp::endpoint{boost::asio::ip::address_v4::loopback(), 0}};
    const auto port = acceptor.local_endpoint().port();
    self.spawn_task(
        accept_all(self, std::move(acceptor)));  // beside the mailbox; cancelled and joined at the end
    while (auto m = co_await self.receive()) m.match([&](request<get_port> r) { r.reply(port); });
    fmt::print("server: closed\n");
}
// [/server]

// [client]
task<> client(actor<protocol<>> self) {
    auto shouter = (co_await self.resolve<server_protocol>("server")).value();
    auto port = co_await self.ask<get_port>(shouter);
    tcp::socket socket{io_context_of(self)};
    co_await socket.async_connect({boost::asio::ip::address_v4::loopback(), port.value()}, coppice::await);

    std::string text = "grow back from the root\n";
    co_await boost::asio::async_write(socket, boost::asio::buffer(text), coppice::await);
    std::string answer;
    co_await boost::asio::async_read_until(socket, boost::asio::dynamic_buffer(answer), '\n', coppice::await);
    fmt::print("client: {}", answer);

    try {
        tcp::socket nobody{io_context_of(self)};
        co_await nobody.async_connect({boost::asio::ip::address_v4::loopback(), 1}, coppice::await);
    } catch (const boost::system::system_error& failure) {
        fmt::print("client: {}\n", failure.code().message());
    }
}
// [/client]

int main(int argc, char** argv) {
    supervisor_spec tree;
    tree.add(child("server", in_coroutine, server))
        .add(child("client", in_coroutine, client).restarts(restart::temporary).significant());
    return node{"sockets", argc, argv}.run(tree);
}
