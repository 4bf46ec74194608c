// What single kinds promise beyond the suite: who is let in, and what is said to those who are not. tcp stays on
// loopback unless told otherwise; tls wants certificates, the right ones, and TLS 1.3; unix wants its own user.
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "conformance/party.hpp"
#include "coppice/transport/tcp.hpp"
#include "coppice/transport/tls.hpp"
#include "coppice/transport/unix.hpp"
#include "support/certificates.hpp"

namespace coppice::tests {
namespace {

// One reactor, one listener, and what came of connecting to it.
class Securing : public ::testing::Test {
protected:
    error listen_error(const transport& how, const std::string& uri) {
        auto made = how.listen(on, at(uri), [this](std::unique_ptr<byte_link> link) {
            accepted.push_back(std::make_unique<party>(std::move(link)));
        });
        if (!made) return made.error();
        listening = std::move(*made);
        return {};
    }
    // What connect() says at once, or its callback later.
    error connect_error(const transport& how, const std::string& uri) {
        connected.reset();
        std::optional<error> told;
        auto begun = how.connect(on, at(uri), [&](result<std::unique_ptr<byte_link>> outcome) {
            told = outcome.error();
            if (outcome) connected = std::make_unique<party>(std::move(*outcome));
        });
        if (!begun) return begun.error();
        on.run_until([&] { return told.has_value(); });
        return *told;
    }
    static bool says(const error& why, std::string_view words) {
        const bool found = why.what().find(words) != std::string::npos;
        if (!found) ADD_FAILURE() << '"' << why.what() << "\" does not say \"" << words << '"';
        return found;
    }

    io_reactor on;
    std::unique_ptr<listener> listening;
    std::vector<std::unique_ptr<party>> accepted;
    std::unique_ptr<party> connected;
};

// ---------------------------------------------------------------- tcp

class SecuringTcp : public Securing {
protected:
    std::shared_ptr<const transport> tcp = tcp_transport();
};

TEST_F(SecuringTcp, ListensBeyondLoopbackOnlyIfThatIsAllowedByName) {
    for (const char* address : {"0.0.0.0", "[::]", "192.0.2.1", "[2001:db8::1]", "[::ffff:192.0.2.1]"}) {
        const error why = listen_error(*tcp, std::string{"tcp://"} + address + ":0");
        EXPECT_EQ(why, errc::denied) << address << ": " << why.what();
        says(why, "insecure=allow");
        says(why, "tls");
    }
    EXPECT_EQ(listen_error(*tcp, "tcp://0.0.0.0:0?insecure=allow"), errc::ok);
    EXPECT_EQ(listen_error(*tcp, "tcp://127.0.0.2:0"), errc::ok) << "all of 127/8 is loopback";
    EXPECT_EQ(listen_error(*tcp, "tcp://0.0.0.0:0?insecure=yes"), errc::invalid_argument);
}

TEST_F(SecuringTcp, ConnectsBeyondLoopbackOnlyIfThatIsAllowedByName) {
    for (const char* address : {"192.0.2.1", "[2001:db8::1]", "[::ffff:192.0.2.1]"}) {
        const error why = connect_error(*tcp, std::string{"tcp://"} + address + ":4711");
        EXPECT_EQ(why, errc::denied) << address << ": " << why.what();
        says(why, "insecure=allow");
    }
}

TEST_F(SecuringTcp, NamesWhatIsMissing) {
    says(listen_error(*tcp, "tcp://:4711"), "host");
    says(connect_error(*tcp, "tcp://127.0.0.1"), "port");
    says(listen_error(*tcp, "tcp://db.example:0"), "address");
    says(listen_error(*tcp, "tcp://127.0.0.1:0?user-timeout-ms=soon"), "user-timeout-ms");
    says(connect_error(*tcp, "tcp://name.invalid:4711"), "name.invalid");
}

// ---------------------------------------------------------------- unix

TEST_F(Securing, LetsOnlyTheOwnUserAtAUnixSocketUnlessAllAreAllowed) {
    const auto kind = unix_transport();
    const auto mode = [](const std::string& path) {
        struct stat seen{};
        EXPECT_EQ(::stat(path.c_str(), &seen), 0);
        return seen.st_mode & 0777u;
    };
    const std::string path = test_directory() + "/modes.sock";
    ASSERT_EQ(listen_error(*kind, "unix://" + path), errc::ok);
    EXPECT_EQ(mode(path), 0600u);
    listening.reset();
    EXPECT_FALSE(std::filesystem::exists(path));
    ASSERT_EQ(listen_error(*kind, "unix://" + path + "?uid=any"), errc::ok);
    EXPECT_EQ(mode(path), 0666u);
}

TEST_F(Securing, NeverRemovesAFileThatIsNoSocket) {
    const std::string path = test_directory() + "/precious";
    std::ofstream{path} << "data";
    const error why = listen_error(*unix_transport(), "unix://" + path);
    EXPECT_EQ(why, errc::name_taken) << why.what();
    EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(Securing, RefusesAUnixPathThatDoesNotFitIntoASocketsAddress) {
    const error why = listen_error(*unix_transport(), "unix:///tmp/" + std::string(120, 'x'));
    EXPECT_EQ(why, errc::invalid_argument);
    says(why, "107");
}

// ---------------------------------------------------------------- tls

class SecuringTls : public Securing {
protected:
    // The listener of all of these, and what an honest peer shows.
    void SetUp() override {
        server = ca.issue("server", {.name = "server.test", .address = "127.0.0.1"});
        client = ca.issue("client", {.name = "client.test"});
    }
    void listen(const std::string& more = "") {
        const error why = listen_error(*tls, "tls://127.0.0.1:0?" + server.options() + more);
        ASSERT_EQ(why, errc::ok) << why.what();
    }
    [[nodiscard]] std::string there(const std::string& options) const {
        return "tls://127.0.0.1:" + std::to_string(listening->where().port) + "?" + options;
    }
    // TLS 1.3 tells the connector of a refusal only after it believes to be connected.
    void expect_refused(const std::string& options) {
        error why = connect_error(*tls, there(options));
        if (why == errc::ok) {
            connected->start();
            on.run_until([&] { return connected->end.has_value(); });
            why = *connected->end;
        }
        EXPECT_EQ(why, errc::io) << why.what();
        EXPECT_TRUE(accepted.empty());
    }
    [[nodiscard]] static std::string replaced(std::string options, const std::string& what,
                                              const std::string& by) {
        const auto from = options.find(what + "=") + what.size() + 1;
        return options.replace(from, options.find('&', from) - from, by);
    }

    const certificate_authority ca{test_directory(), "secure-ca"};
    const certificate_authority stranger{test_directory(), "other-ca"};
    certificate_files server;
    certificate_files client;
    std::shared_ptr<const transport> tls = tls_transport();
};

TEST_F(SecuringTls, KnowsBothSidesByTheirCertificates) {
    listen();
    ASSERT_EQ(connect_error(*tls, there(client.options())), errc::ok);
    on.run_until([&] { return accepted.size() == 1; });
    EXPECT_EQ(connected->link().peer().subject, "server.test");
    EXPECT_EQ(accepted[0]->link().peer().subject, "client.test");
    EXPECT_EQ(accepted[0]->link().peer().by, peer_identity::proof::certificate);
}

TEST_F(SecuringTls, RefusesAListenerOfAnotherAuthority) {
    server = stranger.issue("server", {.name = "server.test", .address = "127.0.0.1"});
    listen();
    const error why = connect_error(*tls, there(client.options()));
    EXPECT_EQ(why, errc::denied) << why.what();
    says(why, "certificate");
    says(why, "tls://127.0.0.1:");
}

TEST_F(SecuringTls, RefusesAListenerOfAnotherName) {
    server =
        ca.issue("server", {.name = "server.test", .common = "127.0.0.1"});  // a common name does not count
    listen();
    EXPECT_EQ(connect_error(*tls, there(client.options())), errc::denied);
    EXPECT_EQ(connect_error(*tls, there(client.options() + "&name=other.test")), errc::denied);
    EXPECT_EQ(connect_error(*tls, there(client.options() + "&name=server.test")), errc::ok);
}

TEST_F(SecuringTls, RefusesCertificatesThatAreOverOrNotYetValid) {
    server = ca.issue("old", {.address = "127.0.0.1", .valid_from = -7200, .valid_until = -3600});
    listen();
    says(connect_error(*tls, there(client.options())), "expired");
    server = ca.issue("young", {.address = "127.0.0.1", .valid_from = 3600, .valid_until = 7200});
    listen();
    says(connect_error(*tls, there(client.options())), "not yet valid");
}

TEST_F(SecuringTls, RefusesConnectorsWithoutTheRightCertificate) {
    listen();
    const auto forged = stranger.issue("client", {.name = "client.test"});
    expect_refused("cert=" + forged.cert + "&key=" + forged.key + "&ca=" + client.ca);
    expect_refused("client=none&ca=" + client.ca);
    expect_refused(
        ca.issue("gone", {.name = "gone.test", .valid_from = -7200, .valid_until = -3600}).options());
    ASSERT_EQ(connect_error(*tls, there(client.options())), errc::ok);  // the listener has not suffered
}

TEST_F(SecuringTls, LetsOnlyTheNamedConnectorIn) {
    listen("&name=client.test");
    expect_refused(ca.issue("other", {.name = "other.test"}).options());
    ASSERT_EQ(connect_error(*tls, there(client.options())), errc::ok);
    on.run_until([&] { return accepted.size() == 1; });
}

TEST_F(SecuringTls, KnowsNobodyWhoNeedsNoCertificate) {
    listen("&client=none");
    ASSERT_EQ(connect_error(*tls, there("client=none&ca=" + client.ca)), errc::ok);
    on.run_until([&] { return accepted.size() == 1; });
    EXPECT_EQ(accepted[0]->link().peer().by, peer_identity::proof::none);
    EXPECT_EQ(connected->link().peer().by, peer_identity::proof::certificate);
}

TEST_F(SecuringTls, SpeaksNothingOlderThanTls13) {
    listen();
    SSL_CTX* old = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(old, TLS1_2_VERSION);
    ASSERT_EQ(SSL_CTX_use_certificate_chain_file(old, client.cert.c_str()), 1);
    ASSERT_EQ(SSL_CTX_use_PrivateKey_file(old, client.key.c_str(), SSL_FILETYPE_PEM), 1);
    const int fd = plain_tcp(listening->where().port);
    ASSERT_GE(fd, 0);
    SSL* ssl = SSL_new(old);
    SSL_set_fd(ssl, fd);
    // Blocking: its hello goes out, and is answered by the listener's turn, on this thread.
    const timeval soon{0, 20'000};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    int verdict = 0;
    do {
        verdict = SSL_connect(ssl);
        on.run_ready();
    } while (verdict < 0 && SSL_get_error(ssl, verdict) == SSL_ERROR_WANT_READ);
    EXPECT_NE(verdict, 1);
    EXPECT_TRUE(accepted.empty());
    SSL_free(ssl);
    SSL_CTX_free(old);
    ::close(fd);
}

TEST_F(SecuringTls, SaysWhichFileCannotBeUsedAndWhy) {
    const std::string good = "tls://127.0.0.1:0?" + server.options();
    const std::string nowhere = test_directory() + "/nowhere.pem";
    for (const char* option : {"cert", "key", "ca"}) {
        const error why = listen_error(*tls, replaced(good, option, nowhere));
        EXPECT_EQ(why, errc::invalid_argument) << why.what();
        says(why, std::string{option} + "=" + nowhere);
        says(why, "No such file");
    }
    const std::string junk = test_directory() + "/junk.pem";
    std::ofstream{junk} << "this is no certificate\n";
    std::filesystem::permissions(junk, std::filesystem::perms{0600});
    for (const char* option : {"cert", "key", "ca"})
        EXPECT_EQ(listen_error(*tls, replaced(good, option, junk)), errc::invalid_argument) << option;
    const error other = listen_error(*tls, replaced(good, "key", client.key));
    EXPECT_EQ(other, errc::invalid_argument);
    says(other, "mismatch");
    for (const char* option : {"cert", "key", "ca"}) {
        endpoint without = at(good);
        without.options.erase(option);
        const error why = listen_error(*tls, without.to_string());
        EXPECT_EQ(why, errc::invalid_argument);
        says(why, std::string{option} + "=");
    }
}

TEST_F(SecuringTls, RefusesAKeyThatOthersMayRead) {
    const std::string good = "tls://127.0.0.1:0?" + server.options();
    std::filesystem::permissions(server.key, std::filesystem::perms{0644});
    const error why = listen_error(*tls, good);
    EXPECT_EQ(why, errc::denied) << why.what();
    says(why, server.key);
    says(why, "chmod 600");
    std::filesystem::permissions(server.key, std::filesystem::perms{0640});  // the group may: a service's key
    EXPECT_EQ(listen_error(*tls, good), errc::ok);
}

TEST_F(SecuringTls, SaysNothingOfWhatAKeyHolds) {
    // Whatever is wrong with a key, its bytes are not in the error.
    const std::string broken = test_directory() + "/broken.key";
    std::string pem;
    {
        std::ifstream from{server.key};
        pem.assign(std::istreambuf_iterator<char>{from}, {});
    }
    pem.resize(pem.size() / 2);
    std::ofstream{broken} << pem;
    std::filesystem::permissions(broken, std::filesystem::perms{0600});
    const error why = listen_error(*tls, replaced("tls://127.0.0.1:0?" + server.options(), "key", broken));
    EXPECT_EQ(why, errc::invalid_argument);
    for (std::size_t from = 40; from + 16 < pem.size(); from += 16)
        EXPECT_EQ(why.what().find(pem.substr(from, 16)), std::string::npos);
}

// Bytes that somebody puts into the stream after the handshake are no message: the link ends.
TEST_F(SecuringTls, EndsALinkIntoWhichSomebodyWritesInTheClear) {
    listen();
    const std::size_t before = open_descriptors();
    ASSERT_EQ(connect_error(*tls, there(client.options())), errc::ok);
    on.run_until([&] { return accepted.size() == 1; });
    accepted[0]->start();
    connected->start();
    // The connector's descriptor is the one whose peer is the listener's port.
    int own = -1;
    for (int fd = 3; fd < static_cast<int>(before) + 32 && own < 0; ++fd) {
        sockaddr_in peer{};
        socklen_t length = sizeof peer;
        if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0 &&
            ntohs(peer.sin_port) == listening->where().port)
            own = fd;
    }
    ASSERT_GE(own, 0);
    const bytes noise = pattern(100, 1);
    ASSERT_EQ(::send(own, noise.data(), noise.size(), MSG_NOSIGNAL), 100);
    on.run_until([&] { return accepted[0]->end.has_value(); });
    EXPECT_EQ(*accepted[0]->end, errc::io) << accepted[0]->end->what();
    EXPECT_TRUE(accepted[0]->got.empty());
}

}  // namespace
}  // namespace coppice::tests
