// What comes in over the wire to the gateway of coppice/actors/gateway.hpp: messages of all shapes, and what no client
// should send: bad handshakes, broken frames, too much, too slowly. Whoever does that is told and closed, and a client
// beside it notices nothing.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "actors/gateway_rig.hpp"
#include "support/own_directory.hpp"

namespace coppice::tests {
namespace {

class GatewayFrames : public gateway_rig {
protected:
    /// Sends the bytes after a handshake, and gives the code with which the gateway closes.
    unsigned code_for(std::uint16_t port, std::string_view bytes) {
        web_client c{port};
        EXPECT_NE(c.shake_hands().find(" 101 "), std::string::npos);
        c.try_write(bytes);
        for (;;) {
            const web_frame f = c.next();
            if (f.opcode == 8) return f.code();
            if (f.opcode == -1) return 0;
        }
    }
    /// The status with which the gateway answers the bytes; empty: it says nothing and ends.
    static std::string status_for(std::uint16_t port, std::string_view bytes) {
        web_client c{port};
        c.try_write(bytes);
        const std::string head = c.read_all();
        return head.size() > 12 ? head.substr(9, 3) : std::string{};
    }
    static std::string request(std::uint16_t port, const std::string& line, const std::string& more = {}) {
        return line + " HTTP/1.1\r\nHost: localhost:" + std::to_string(port) + "\r\n" + more + "\r\n";
    }
};

std::string bytes_of(std::size_t size) {
    std::string s(size, '\0');
    for (std::size_t i = 0; i < size; ++i) s[i] = static_cast<char>(i * 131 + (i >> 8));
    return s;
}

TEST_F(GatewayFrames, F9_MessagesOfBothKindsAndAllSizesArriveTaggedWithTheirKindAndGoBack) {
    start();
    const agent a = add_agent("a");
    web::port_options options;
    options.limits.message_bytes = 16u << 20;
    auto [c, channel] = join(a, listen(a, options));
    std::size_t n = 0;
    for (const std::size_t size :
         {0u, 1u, 125u, 126u, 127u, 4096u, 4097u, 65535u, 65536u, 1u << 20, 16u << 20}) {
        const std::string payload = bytes_of(size);
        c.send(2, payload);
        const web_frame back = c.next();
        EXPECT_EQ(back.opcode, 2) << size;
        EXPECT_EQ(back.text, payload) << size;
        const web_event heard = a.journal->wait(what::message, ++n);
        EXPECT_FALSE(heard.is_text) << size;
        EXPECT_EQ(heard.text, payload) << size;
        EXPECT_EQ(heard.channel, channel);

        const std::string letters(size, 'w');
        c.send(1, letters);
        const web_frame text_back = c.next();
        EXPECT_EQ(text_back.opcode, 1) << size;
        EXPECT_EQ(text_back.text, letters) << size;
        EXPECT_TRUE(a.journal->wait(what::message, ++n).is_text) << size;
    }
    c.send(1, "Gr\xc3\xbc\xc3\x9f"
              "e \xf0\x9f\x8c\xb3");
    EXPECT_EQ(c.next().text, "Gr\xc3\xbc\xc3\x9f"
                             "e \xf0\x9f\x8c\xb3");
}

TEST_F(GatewayFrames, F9_AMessageInManyFramesWithControlFramesBetweenThemIsOneMessage) {
    start();
    const agent a = add_agent("a");
    auto [c, channel] = join(a, listen(a));
    const std::string payload = bytes_of(3000);
    std::string all = web_client::frame(2, std::string_view{payload}.substr(0, 1), false);
    for (std::size_t at = 1; at < payload.size() - 1; at += 100) {
        all += web_client::frame(
            0, std::string_view{payload}.substr(at, std::min<std::size_t>(100, payload.size() - 1 - at)),
            false);
        all += web_client::frame(9, "between " + std::to_string(at));
        all += web_client::frame(0, "", false);
    }
    all += web_client::frame(0, std::string_view{payload}.substr(payload.size() - 1), true);
    // Byte by byte at first: frames may be cut anywhere.
    for (std::size_t i = 0; i < 50; ++i) c.write(std::string_view{all}.substr(i, 1));
    c.write(std::string_view{all}.substr(50));
    std::size_t pongs = 0;
    for (;;) {
        const web_frame f = c.next_frame();
        ASSERT_NE(f.opcode, -1);
        if (f.opcode == 10) ++pongs;
        if (f.opcode != 2) continue;
        EXPECT_EQ(f.text, payload);
        break;
    }
    EXPECT_GT(pongs, 0u);
    EXPECT_EQ(a.journal->count(what::message), 1u);
    // A character that is cut by the border between two frames is still one.
    c.write(web_client::frame(1, "\xe2\x82", false) + web_client::frame(0, "\xac"));
    for (web_frame f = c.next_frame();; f = c.next_frame()) {
        ASSERT_NE(f.opcode, -1);
        if (f.opcode != 1) continue;
        EXPECT_EQ(f.text, "\xe2\x82\xac");
        break;
    }
}

TEST_F(GatewayFrames, ABrokenFrameIsClosedWithTheCodeOfTheStandardAndHarmsNobodyElse) {
    start();
    const agent a = add_agent("a");
    web::port_options options;
    options.limits.message_bytes = 1000;
    const std::uint16_t port = listen(a, options);
    auto [good, channel] = join(a, port);
    const auto frame = [](auto... parts) { return web_client::frame(parts...); };
    struct row {
        const char* what;
        std::string bytes;
        unsigned code;
    };
    const std::vector<row> rows{
        {"not masked", frame(1, "x", true, false), 1002},
        {"a reserved bit", frame(1, "x", true, true, 4), 1002},
        {"all reserved bits", frame(2, "x", true, true, 7), 1002},
        {"a reserved opcode", frame(3, "x"), 1002},
        {"a reserved control opcode", frame(11, "x"), 1002},
        {"a ping in pieces", frame(9, "x", false), 1002},
        {"a ping of 126 bytes", frame(9, std::string(126, 'x')), 1002},
        {"a continuation of nothing", frame(0, "x"), 1002},
        {"a new message within one", frame(1, "x", false) + frame(1, "y"), 1002},
        {"a text that is not UTF-8", frame(1, "\xff\xfe"), 1007},
        {"a text that ends within a character", frame(1, "\xe2\x82"), 1007},
        {"an overlong form", frame(1, "\xc0\xaf"), 1007},
        {"a message over the limit", frame(2, std::string(1001, 'x')), 1009},
        {"one over the limit in pieces",
         frame(2, std::string(600, 'x'), false) + frame(0, std::string(600, 'x')), 1009},
        {"a size of 2^63", std::string{"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00mask", 14}, 1009},
        {"a size of 2^62", std::string{"\x82\xff\x40\x00\x00\x00\x00\x00\x00\x00mask", 14}, 1009},
        {"a size that is longer than it needs to be", std::string{"\x82\xfe\x00\x05maskhello", 13}, 1002},
        {"a close of one byte", frame(8, "x"), 1002},
        {"a close with a code that is none", frame(8, std::string{"\x03\xe7", 2}), 1002},
        {"a close whose reason is not UTF-8", frame(8, std::string{"\x03\xe8\xff", 3}), 1007},
    };
    std::size_t n = 0;
    for (const row& each : rows) {
        const unsigned code = code_for(port, each.bytes);
        // Beast calls every close that cannot be read a protocol error.
        if (each.code == 1007 && each.bytes[0] == '\x88')
            EXPECT_TRUE(code == 1002 || code == 1007) << each.what;
        else EXPECT_EQ(code, each.code) << each.what;
        const web_event told = a.journal->wait(what::closed, ++n);
        EXPECT_EQ(told.by, web::ender::gateway) << each.what << ": " << told.text;
        EXPECT_FALSE(told.text.empty()) << each.what;
    }
    good.say("all is well");
    EXPECT_EQ(good.next().text, "all is well");
    EXPECT_EQ(a.journal->count(what::closed), rows.size());
    EXPECT_EQ(a.journal->count(what::message), 1u);  // nothing of what was broken
}

TEST_F(GatewayFrames, ABadHandshakeIsAnsweredWithItsStatusAndHarmsNobody) {
    start();
    const agent a = add_agent("a");
    const std::uint16_t port = listen(a, {.origins = {"https://example.org"}, .hosts = {"web.example.org"}});
    auto [good, channel] = join(a, port);
    web_client probe{port};
    const std::string upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const auto asking = [&](const std::string& host, const std::string& more) {
        return "GET / HTTP/1.1\r\n" + host + upgrade + more + "\r\n";
    };
    EXPECT_EQ(status_for(port, "\x16\x03\x01\x02\r\n\r\n"), "400");  // TLS at a port without
    EXPECT_EQ(status_for(port, "hello\r\n\r\n"), "400");
    EXPECT_EQ(status_for(port, "GET / HTTP/9.9\r\n\r\n"), "400");
    EXPECT_EQ(status_for(port, request(port, "GET nowhere")), "400");
    EXPECT_EQ(status_for(port, request(port, "GET /%zz")), "400");
    EXPECT_EQ(status_for(port, request(port, "GET /%00")), "400");
    EXPECT_EQ(status_for(port, request(port, "GET /")), "426");
    EXPECT_EQ(status_for(port, request(port, "GET /", "X: " + std::string(20'000, 'x') + "\r\n")), "431");
    EXPECT_EQ(status_for(port, asking("", "")), "421");
    EXPECT_EQ(status_for(port, asking("Host: evil.example\r\n", "")), "421");
    EXPECT_EQ(status_for(port, asking("Host: localhost\r\nHost: localhost\r\n", "")), "421");
    EXPECT_EQ(status_for(port, asking("Host: localhost:80:80\r\n", "")), "421");
    EXPECT_EQ(status_for(port, asking("Host: localhost\r\n", "Origin: https://evil.example\r\n")), "403");
    EXPECT_EQ(status_for(port, asking("Host: localhost\r\n", "Origin: https://example.org.evil.example\r\n")),
              "403");
    EXPECT_EQ(status_for(port, asking("Host: localhost\r\n", "Origin: null\r\n")), "403");
    EXPECT_EQ(status_for(port, probe.handshake() + web_client::frame(1, "too early")), "400");
    EXPECT_EQ(status_for(port, request(port, "GET /",
                                       "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                       "Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: eA==\r\n")),
              "426");
    for (const char* origin : {"https://example.org", "http://web.example.org:1"}) {
        web_client c{port};
        c.write(asking("Host: WEB.example.org:1\r\n", std::string{"Origin: "} + origin + "\r\n"));
        EXPECT_NE(c.read_head().find(" 101 "), std::string::npos) << origin;
    }
    EXPECT_EQ(a.journal->wait(what::opened, 2).origin, "https://example.org");
    a.journal->wait(what::opened, 3);
    good.say("all is well");
    EXPECT_EQ(good.next().text, "all is well");
}

TEST_F(GatewayFrames, ATokenIsAskedForAndNotPassedOn) {
    start();
    const agent a = add_agent("a");
    const std::uint16_t port = listen(a, {.token = "open sesame"});
    const auto refused = [&](const std::string& path, const std::string& more) {
        web_client c{port};
        c.write(c.handshake(path, more));
        return c.read_all().substr(9, 3);
    };
    EXPECT_EQ(refused("/", ""), "401");
    EXPECT_EQ(refused("/?token=open%20sesam", ""), "401");
    EXPECT_EQ(refused("/?token=open%20sesamf", ""), "401");
    EXPECT_EQ(refused("/", "Authorization: Bearer open sesame \x01\r\n").substr(0, 1), "4");
    EXPECT_EQ(refused("/", "Authorization: Basic open sesame\r\n"), "401");
    web_client by_field{port};
    EXPECT_NE(by_field.shake_hands("/x", "Authorization: Bearer open sesame\r\n").find(" 101 "),
              std::string::npos);
    web_client by_path{port};
    EXPECT_NE(by_path.shake_hands("/y?room=1&token=open%20sesame&last=2").find(" 101 "), std::string::npos);
    EXPECT_EQ(a.journal->wait(what::opened, 1).text, "/x");
    EXPECT_EQ(a.journal->wait(what::opened, 2).text, "/y?room=1&last=2");
}

TEST_F(GatewayFrames, ASlowHandshakeEndsAtItsLimitAndACrowdOfThemKeepsNobodyOutForGood) {
    start();
    const agent a = add_agent("a");
    web::port_options options;
    options.limits.handshake = 100ms;
    options.handshakes = 4;
    const std::uint16_t port = listen(a, options);
    std::vector<web_client> crowd;
    for (int i = 0; i < 20; ++i) {
        crowd.emplace_back(port);
        crowd.back().try_write("GET / HTTP/1.1\r\nHost: loc");
    }
    // Behind all of them, and yet it gets in.
    web_client c{port};
    EXPECT_NE(c.shake_hands().find(" 101 "), std::string::npos);
    for (web_client& each : crowd) EXPECT_EQ(each.read_all(), "");
    c.say("in");
    EXPECT_EQ(c.next().text, "in");
    const auto report = status_when([](const auto& r) { return r.ports.at(0).handshakes == 0; });
    EXPECT_EQ(report.ports.at(0).rejected, 20u);
    EXPECT_EQ(report.ports.at(0).accepted, 21u);
}

TEST_F(GatewayFrames, AFullPortAnswersTryAgainLaterUntilSomebodyLeaves) {
    start();
    const agent a = add_agent("a");
    const std::uint16_t port = listen(a, {.connections = 2});
    auto [one, first] = join(a, port);
    auto [two, second] = join(a, port);
    web_client probe{port};
    EXPECT_EQ(status_for(port, probe.handshake()), "503");
    one.leave();
    a.journal->wait_closed(first);
    auto [three, third] = join(a, port);
    three.say("in");
    EXPECT_EQ(three.next().text, "in");
}

TEST_F(GatewayFrames, PagesAndFilesAreServedAndNothingOutsideOfTheirFolder) {
    own_directory folder;
    const auto put = [&](const std::string& name, const std::string& text) {
        std::ofstream{folder.path(name)} << text;
    };
    std::filesystem::create_directories(folder.path("www/sub"));
    put("secret.txt", "secret");
    put("www/index.html", "<p>index");
    put("www/app.js", "let x = 1");
    put("www/.hidden", "secret");
    put("www/sub/a b.txt", "spaces");
    std::filesystem::create_symlink(folder.path("secret.txt"), folder.path("www/link.txt"));
    std::filesystem::create_directory_symlink(folder.path(), folder.path("www/out"));
    start();
    const agent a = add_agent("a");
    web::port_options options;
    options.pages = {{"/hello", "text/plain", blob{std::string{"hello page"}}}};
    options.directory = folder.path("www");
    const std::uint16_t port = listen(a, options);
    const auto get = [&](const std::string& line) {
        web_client c{port};
        c.write(request(port, line));
        return c.read_all();
    };
    const auto body = [](const std::string& all) { return all.substr(all.find("\r\n\r\n") + 4); };
    EXPECT_EQ(body(get("GET /hello")), "hello page");
    EXPECT_EQ(body(get("GET /hello?x=1")), "hello page");
    EXPECT_EQ(body(get("GET /")), "<p>index");
    EXPECT_NE(get("GET /").find("Content-Type: text/html"), std::string::npos);
    EXPECT_NE(get("GET /app.js").find("Content-Type: text/javascript"), std::string::npos);
    EXPECT_EQ(body(get("GET /sub/a%20b.txt")), "spaces");
    const std::string head = get("HEAD /app.js");
    EXPECT_EQ(body(head), "");
    EXPECT_NE(head.find("Content-Length: 9"), std::string::npos) << head;
    EXPECT_EQ(get("POST /").substr(9, 3), "405");
    EXPECT_EQ(get("DELETE /app.js").substr(9, 3), "405");
    for (const char* path :
         {"/../secret.txt", "/%2e%2e/secret.txt", "/sub/../../secret.txt", "/..%2fsecret.txt", "//etc/passwd",
          "/.hidden", "/link.txt", "/out/secret.txt", "/sub", "/nothing", "/sub/"})
        EXPECT_EQ(get(std::string{"GET "} + path).substr(9, 3), "404") << path;
    EXPECT_EQ(status().ports.at(0).channels, 0u);
    EXPECT_GE(status().ports.at(0).pages, 10u);
}

TEST_F(GatewayFrames, AnAgentSetsAPageAtRunTimeAndNobodyElseDoes) {
    start({.pages = 2});
    const agent a = add_agent("a");
    const agent stranger = add_agent("stranger");
    const std::uint16_t port = listen(a, {.pages = {{"/", "text/html", blob{std::string{"<p>front"}}}}});
    const auto get = [&](const std::string& line) {
        web_client c{port};
        c.write(request(port, line));
        return c.read_all();
    };
    const auto set = [&](const agent& who, const std::string& path, const std::string& text,
                         const std::string& type = "text/plain") {
        return as(who, web::set_page{port, {path, type, blob{text}}}).error().code();
    };
    EXPECT_EQ(get("GET /figures").substr(9, 3), "404");
    EXPECT_EQ(set(a, "/figures", "one"), errc::ok);
    EXPECT_TRUE(get("GET /figures").ends_with("\r\n\r\none"));
    EXPECT_EQ(set(a, "/figures", "two", "application/x-two"), errc::ok);
    const std::string second = get("GET /figures");
    EXPECT_TRUE(second.ends_with("\r\n\r\ntwo"));
    EXPECT_NE(second.find("Content-Type: application/x-two\r\n"), std::string::npos) << second;
    EXPECT_EQ(set(a, "/third", "of two"), errc::limit_reached);
    EXPECT_EQ(set(a, "figures", "no path"), errc::invalid_argument);
    EXPECT_EQ(set(a, "/figures", "", "text/plain\r\nX-Forged: 1"), errc::invalid_argument);
    EXPECT_EQ(set(a, "/figures", std::string((16u << 20) + 1, 'x')), errc::too_large);
    EXPECT_EQ(set(stranger, "/figures", "forged"), errc::denied);
    EXPECT_TRUE(get("GET /figures").ends_with("\r\n\r\ntwo"));
    const auto nowhere = as(a, web::set_page{static_cast<std::uint16_t>(port ^ 1), {"/", "text/plain", {}}});
    EXPECT_EQ(nowhere.error().code(), errc::not_found);
    const std::vector<web::page> three{
        {"/1", "text/plain", {}}, {"/2", "text/plain", {}}, {"/3", "text/plain", {}}};
    EXPECT_EQ(as(a, web::listen{0, {.pages = three}, {}}).error().code(), errc::limit_reached);
}

}  // namespace
}  // namespace coppice::tests
