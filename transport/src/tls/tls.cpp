// TLS over tcp_socket's connections. OpenSSL is used directly, not through asio::ssl: a link's own buffers feed it,
// readiness is all that is asked of Asio, and no composed operation can outlive what it works on.
//
// A BIO of our own reads and writes the socket, because OpenSSL's would raise SIGPIPE. Threading: the reactor's
// thread; an SSL_CTX belongs to one listener or attempt and to its links.
#include "coppice/transport/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <limits>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include <boost/asio/ip/address.hpp>

#include "support/run_directory.hpp"
#include "tcp/tcp_socket.hpp"

namespace coppice {

namespace {

using namespace detail;  // NOLINT(google-build-using-namespace): the transports' shared parts

constexpr std::chrono::seconds handshake_within{5};  // an accepted connection's
constexpr std::size_t most_pending = 64;   // accepted connections whose handshake is not over, per listener
constexpr long longest_chain = 32 * 1024;  // bytes of certificates that a peer may send before it is known

template <auto Free>
struct freed_by {
    template <class T>
    void operator()(T* what) const noexcept {
        Free(what);
    }
};
using context_ptr = std::unique_ptr<SSL_CTX, freed_by<&SSL_CTX_free>>;
using ssl_ptr = std::unique_ptr<SSL, freed_by<&SSL_free>>;
using certificate_ptr = std::unique_ptr<X509, freed_by<&X509_free>>;

// The oldest error of the thread's queue, in OpenSSL's words; empties the queue.
std::string openssl_words() {
    const unsigned long code = ERR_get_error();
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    std::string words;
    if (reason) words = reason;
    else if (code != 0 && ERR_SYSTEM_ERROR(code))
        words = std::generic_category().message(ERR_GET_REASON(code));
    else words = "unknown error";
    ERR_clear_error();
    return words;
}

// ---------------------------------------------------------------- the socket, for OpenSSL

// What a BIO has: the socket, and the last error that was none of waiting.
struct wire {
    int fd = -1;
    int failure = 0;
};

int wire_write(BIO* bio, const char* data, int size) {
    auto& w = *static_cast<wire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    for (;;) {
        const ssize_t n = ::send(w.fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
        if (n >= 0) return static_cast<int>(n);
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == ENOBUFS) BIO_set_retry_write(bio);
        else w.failure = errno;
        return -1;
    }
}

int wire_read(BIO* bio, char* into, int size) {
    auto& w = *static_cast<wire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    for (;;) {
        const ssize_t n = ::recv(w.fd, into, static_cast<std::size_t>(size), 0);
        if (n > 0) return static_cast<int>(n);
        if (n == 0) {
            BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
            return 0;
        }
        if (errno == EINTR) continue;
        if (errno == EAGAIN) BIO_set_retry_read(bio);
        else w.failure = errno;
        return -1;
    }
}

long wire_control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return 0;
}

const BIO_METHOD* wire_method() {
    static const BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "coppice socket");
        BIO_meth_set_write(made, wire_write);
        BIO_meth_set_read(made, wire_read);
        BIO_meth_set_ctrl(made, wire_control);
        return made;
    }();
    return method;
}

// ---------------------------------------------------------------- records

class tls_channel final : public stream_channel {
public:
    tls_channel(SSL_CTX* context, int fd) : ssl_{SSL_new(context)} {
        wire_.fd = fd;
        BIO* bio = BIO_new(wire_method());
        BIO_set_data(bio, &wire_);
        BIO_set_init(bio, 1);
        SSL_set_bio(ssl_.get(), bio, bio);
    }
    tls_channel(const tls_channel&) = delete;
    tls_channel& operator=(const tls_channel&) = delete;
    ~tls_channel() override = default;

    [[nodiscard]] SSL* ssl() const noexcept { return ssl_.get(); }

    outcome read(std::span<std::byte> into, std::size_t& count, error& why) override {
        ERR_clear_error();
        const int done = SSL_read_ex(ssl_.get(), into.data(), into.size(), &count);
        return done == 1 ? outcome::moved : failed(done, why);
    }

    outcome write(std::span<const iovec> parts, std::size_t& count, error& why) override {
        ERR_clear_error();
        const int done = SSL_write_ex(ssl_.get(), parts.front().iov_base, parts.front().iov_len, &count);
        return done == 1 ? outcome::moved : failed(done, why);
    }

    [[nodiscard]] bool buffered() const noexcept override { return SSL_has_pending(ssl_.get()) != 0; }

    bool finish() noexcept override {
        ERR_clear_error();
        const int done = broken_ ? 1 : SSL_shutdown(ssl_.get());
        if (done < 0 && SSL_get_error(ssl_.get(), done) == SSL_ERROR_WANT_WRITE) return false;
        ERR_clear_error();
        ::shutdown(wire_.fd, SHUT_WR);
        return true;
    }

    // What an operation that did not succeed has met.
    outcome failed(int done, error& why) {
        switch (SSL_get_error(ssl_.get(), done)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE: return outcome::blocked;
        case SSL_ERROR_ZERO_RETURN: return outcome::ended;
        case SSL_ERROR_SYSCALL:
            broken_ = true;
            why = wire_.failure == EPIPE ? error{errc::closed}
                                         : error{errc::io, std::generic_category().message(wire_.failure)};
            return outcome::failed;
        default:
            broken_ = true;
            why = {errc::io, "tls: " + openssl_words()};
            return outcome::failed;
        }
    }

private:
    wire wire_;
    ssl_ptr ssl_;
    bool broken_ = false;
};

// ---------------------------------------------------------------- settings

struct tls_settings {
    tcp_settings tcp{.beyond_loopback = true};
    std::string cert;
    std::string key;
    std::string ca;
    std::string name;  // empty: any
    bool client_shows = true;
};

result<tls_settings> read(const endpoint& where, bool listening) {
    if (auto known = where.only({"cert", "key", "ca", "name", "client", "user-timeout-ms"}); !known)
        return known.error();
    const auto client = where.one_of("client", "required", {"required", "none"});
    if (!client) return client.error();
    const auto timeout = user_timeout_of(where);
    if (!timeout) return timeout.error();
    tls_settings s;
    s.tcp.user_timeout = *timeout;
    s.client_shows = *client == "required";
    for (const auto& [option, to] :
         {std::pair{"cert", &s.cert}, {"key", &s.key}, {"ca", &s.ca}, {"name", &s.name}})
        if (const auto found = where.options.find(option); found != where.options.end()) *to = found->second;
    if (!listening && s.name.empty()) s.name = where.host;

    const auto missing = [&](const char* option, const char* what) {
        return error{errc::invalid_argument,
                     place(where) + ": the option " + option + "= is missing: a PEM file with " + what};
    };
    const bool shows = listening || s.client_shows;
    if (shows && s.cert.empty()) return missing("cert", "the own certificate");
    if (shows && s.key.empty()) return missing("key", "the own certificate's key");
    if ((!listening || s.client_shows) && s.ca.empty()) return missing("ca", "the certificates to trust");
    return s;
}

// Without this, OpenSSL asks at the terminal for the passphrase of a key that has one.
int no_passphrase(char*, int, int, void*) { return -1; }

// A key that everybody on the machine may read, or replace, proves nothing.
result<void> check_key_file(const tls_settings& s, const endpoint& where) {
    struct stat seen{};
    if (s.key.empty() || ::stat(s.key.c_str(), &seen) != 0) return {};  // OpenSSL says what is wrong with it
    if ((seen.st_mode & (S_IROTH | S_IWOTH)) == 0) return {};
    return error{errc::denied, place(where) + ": option key=" + s.key +
                                   ": every user of this machine may read or write the file; chmod 600 it"};
}

result<context_ptr> context_of(const tls_settings& s, const endpoint& where, bool listening) {
    if (auto kept = check_key_file(s, where); !kept) return kept.error();
    ERR_clear_error();
    context_ptr context{SSL_CTX_new(listening ? TLS_server_method() : TLS_client_method())};
    const auto unusable = [&](const char* option, const std::string& file) {
        const unsigned long code = ERR_peek_error();
        const bool nothing_left = ERR_SYSTEM_ERROR(code) && ran_out(ERR_GET_REASON(code));
        return error{nothing_left ? errc::limit_reached : errc::invalid_argument,
                     place(where) + ": option " + option + "=" + file + ": " + openssl_words()};
    };
    if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1)
        return error{errc::io, place(where) + ": tls: " + openssl_words()};
    SSL_CTX_set_default_passwd_cb(context.get(), no_passphrase);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context.get(), 1);
    // Sessions are not resumed: links are long, and a ticket that nobody reads would be unread input at the end.
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_max_cert_list(context.get(), longest_chain);
    if (!s.cert.empty() && SSL_CTX_use_certificate_chain_file(context.get(), s.cert.c_str()) != 1)
        return unusable("cert", s.cert);
    if (!s.key.empty() && SSL_CTX_use_PrivateKey_file(context.get(), s.key.c_str(), SSL_FILETYPE_PEM) != 1)
        return unusable("key", s.key);
    if (!s.key.empty() && SSL_CTX_check_private_key(context.get()) != 1) return unusable("key", s.key);
    if (!s.ca.empty() && SSL_CTX_load_verify_locations(context.get(), s.ca.c_str(), nullptr) != 1)
        return unusable("ca", s.ca);
    if (!listening) {
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    } else if (s.client_shows) {
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        if (STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(s.ca.c_str()))
            SSL_CTX_set_client_CA_list(context.get(), names);
    }
    return context;
}

// The peer's certificate has to have that name. False: OpenSSL has no memory.
bool expect_name(SSL* ssl, const std::string& name, bool listening) {
    if (name.empty()) return true;
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
    boost::system::error_code no_address;
    boost::asio::ip::make_address(name, no_address);
    if (!no_address) return X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str()) == 1;
    // Names stand among the alternative names; what stands in the subject is for people.
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (X509_VERIFY_PARAM_set1_host(param, name.c_str(), name.size()) != 1) return false;
    return listening || SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
}

std::string text_of(const ASN1_STRING* s) {
    unsigned char* utf8 = nullptr;
    const int length = s ? ASN1_STRING_to_UTF8(&utf8, s) : -1;
    if (length < 0) return {};
    std::string text{reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(length)};
    OPENSSL_free(utf8);
    if (text.find('\0') != std::string::npos) return {};  // made to look like another name
    return text;
}

// The certificate's first alternative name, or the common name of its subject.
std::string subject_of(X509* certificate) {
    std::string subject;
    auto* names =
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && subject.empty(); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS || name->type == GEN_URI || name->type == GEN_EMAIL)
            subject = text_of(name->d.ia5);
    }
    GENERAL_NAMES_free(names);
    if (!subject.empty()) return subject;
    X509_NAME* owner = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(owner, NID_commonName, -1);
    return at < 0 ? std::string{} : text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(owner, at)));
}

// ---------------------------------------------------------------- the handshake

// Turns a connection into a link, or says why not. Shared by its waits; nobody is called after stop().
class handshake final : public std::enable_shared_from_this<handshake> {
public:
    handshake(boost::asio::io_context& io, stream_descriptor descriptor, SSL_CTX* context, std::string place)
        : descriptor_{std::move(descriptor)},
          channel_{std::make_unique<tls_channel>(context, descriptor_.native_handle())},
          timer_{io},
          place_{std::move(place)} {}

    [[nodiscard]] SSL* ssl() const noexcept { return channel_->ssl(); }

    // Not within another event of ours: `done` may come at once.
    void run(connected_function done) {
        done_ = std::move(done);
        step();
    }
    void limit(std::chrono::nanoseconds time) {
        timer_.expires_after(time);
        timer_.async_wait([self = shared_from_this()](const boost::system::error_code& failure) {
            if (!failure) self->finish(error{errc::timeout, self->place_ + ": no TLS handshake in time"});
        });
    }
    void stop() noexcept {
        done_ = nullptr;
        boost::system::error_code ignored;
        timer_.cancel(ignored);
        descriptor_.close(ignored);
    }

private:
    void step() {
        ERR_clear_error();
        const int done = SSL_do_handshake(ssl());
        if (done == 1) return finish(link());
        switch (SSL_get_error(ssl(), done)) {
        case SSL_ERROR_WANT_READ: return wait(stream_descriptor::wait_read);
        case SSL_ERROR_WANT_WRITE: return wait(stream_descriptor::wait_write);
        default: break;
        }
        if (const long verdict = SSL_get_verify_result(ssl()); verdict != X509_V_OK) {
            ERR_clear_error();
            return finish(error{errc::denied, place_ + ": the peer's certificate: " +
                                                  X509_verify_cert_error_string(verdict)});
        }
        error why;
        channel_->failed(done, why);
        finish(error{errc::io, place_ + ": TLS handshake: " + std::string{why.text()}});
    }

    void wait(stream_descriptor::wait_type readiness) {
        descriptor_.async_wait(readiness,
                               [self = shared_from_this()](const boost::system::error_code& failure) {
                                   if (!failure && self->done_) self->step();
                               });
    }

    std::unique_ptr<byte_link> link() {
        peer_identity peer = tcp_peer(descriptor_.native_handle());
        bound_send_buffer(descriptor_.native_handle(), peer);
        if (const certificate_ptr certificate{SSL_get1_peer_certificate(ssl())}) {
            peer.by = peer_identity::proof::certificate;
            peer.subject = subject_of(certificate.get());
        }
        return make_stream_link(std::move(descriptor_), std::move(channel_), std::move(peer));
    }

    void finish(result<std::unique_ptr<byte_link>> outcome) {
        if (!done_) return;
        const auto self = shared_from_this();
        const connected_function done = std::exchange(done_, nullptr);
        stop();
        done(std::move(outcome));
    }

    stream_descriptor descriptor_;
    std::unique_ptr<tls_channel> channel_;
    boost::asio::steady_timer timer_;
    std::string place_;
    connected_function done_;
};

// ---------------------------------------------------------------- the kind

// What a listener and the handshakes of its connections share.
struct gate final : std::enable_shared_from_this<gate> {
    boost::asio::io_context* io = nullptr;
    tls_settings wanted;
    context_ptr context;
    std::string at;
    std::shared_ptr<accept_loop> loop;
    std::shared_ptr<accepted_function> accepted;
    std::set<std::shared_ptr<handshake>> pending;

    void open() {
        loop->run([self = shared_from_this()](unique_fd peer) { self->meet(std::move(peer)); });
    }

    void meet(unique_fd peer) {
        set_tcp_options(peer.get(), wanted.tcp);
        auto watched = watch(*io, std::move(peer), at);
        if (!watched) return;
        auto meeting = std::make_shared<handshake>(*io, std::move(*watched), context.get(), at);
        if (!expect_name(meeting->ssl(), wanted.name, true)) return;
        SSL_set_accept_state(meeting->ssl());
        pending.insert(meeting);
        if (pending.size() >= most_pending) loop->hold();
        meeting->limit(handshake_within);
        const std::weak_ptr<handshake> known = meeting;
        meeting->run([self = shared_from_this(), known](result<std::unique_ptr<byte_link>> outcome) {
            self->pending.erase(known.lock());
            self->loop->go_on();
            // The listener may be destroyed within.
            if (const auto tell = self->accepted; tell && outcome) (*tell)(std::move(*outcome));
        });
    }

    void close() noexcept {
        accepted = nullptr;
        loop->stop();
        for (const auto& meeting : pending) meeting->stop();
        pending.clear();
    }
};

class tls_listener final : public listener {
public:
    tls_listener(endpoint where, std::shared_ptr<gate> behind)
        : where_{std::move(where)}, gate_{std::move(behind)} {}
    tls_listener(const tls_listener&) = delete;
    tls_listener& operator=(const tls_listener&) = delete;
    ~tls_listener() override { gate_->close(); }
    [[nodiscard]] const endpoint& where() const noexcept override { return where_; }

private:
    endpoint where_;
    std::shared_ptr<gate> gate_;
};

// Connecting, then the handshake. Shared with the connector's callback.
struct approach final : std::enable_shared_from_this<approach> {
    boost::asio::io_context* io = nullptr;
    tls_settings wanted;
    context_ptr context;
    std::string at;
    std::shared_ptr<tcp_connector> connector;
    std::shared_ptr<handshake> meeting;
    connected_function done;

    void connected(result<stream_descriptor> outcome) {
        if (!outcome) return std::exchange(done, nullptr)(outcome.error());
        meeting = std::make_shared<handshake>(*io, std::move(*outcome), context.get(), at);
        if (!expect_name(meeting->ssl(), wanted.name, false))
            return std::exchange(done, nullptr)(
                error{errc::invalid_argument, at + ": name=" + wanted.name + ": " + openssl_words()});
        SSL_set_connect_state(meeting->ssl());
        meeting->run(std::exchange(done, nullptr));
    }

    void stop() noexcept {
        done = nullptr;
        if (connector) connector->stop();
        if (meeting) meeting->stop();
    }
};

class tls_attempt final : public attempt {
public:
    explicit tls_attempt(std::shared_ptr<approach> behind) : approach_{std::move(behind)} {}
    tls_attempt(const tls_attempt&) = delete;
    tls_attempt& operator=(const tls_attempt&) = delete;
    ~tls_attempt() override { approach_->stop(); }

private:
    std::shared_ptr<approach> approach_;
};

class tls_kind final : public transport {
public:
    [[nodiscard]] std::string_view scheme() const noexcept override { return "tls"; }
    [[nodiscard]] coppice::reach reach() const noexcept override { return coppice::reach::network; }

    [[nodiscard]] result<std::unique_ptr<listener>> listen(reactor& on, const endpoint& where,
                                                           accepted_function accepted) const override {
        auto wanted = read(where, true);
        if (!wanted) return wanted.error();
        const auto io = io_of(on, where);
        if (!io) return io.error();
        auto context = context_of(*wanted, where, true);
        if (!context) return context.error();
        endpoint real = where;
        auto listening = tcp_listen(**io, real, wanted->tcp);
        if (!listening) return listening.error();

        auto behind = std::make_shared<gate>();
        behind->io = *io;
        behind->wanted = std::move(*wanted);
        behind->context = std::move(*context);
        behind->at = place(real);
        behind->loop = std::make_shared<accept_loop>(**io, std::move(*listening));
        behind->accepted = std::make_shared<accepted_function>(std::move(accepted));
        behind->open();
        return std::unique_ptr<listener>{std::make_unique<tls_listener>(std::move(real), std::move(behind))};
    }

    [[nodiscard]] result<std::unique_ptr<attempt>> connect(reactor& on, const endpoint& where,
                                                           connected_function done) const override {
        auto wanted = read(where, false);
        if (!wanted) return wanted.error();
        const auto io = io_of(on, where);
        if (!io) return io.error();
        auto context = context_of(*wanted, where, false);
        if (!context) return context.error();

        auto behind = std::make_shared<approach>();
        behind->io = *io;
        behind->wanted = std::move(*wanted);
        behind->context = std::move(*context);
        behind->at = place(where);
        behind->done = std::move(done);
        auto connector =
            tcp_connector::run(**io, where, behind->wanted.tcp, [behind](result<stream_descriptor> outcome) {
                behind->connected(std::move(outcome));
            });
        if (!connector) return connector.error();
        behind->connector = std::move(*connector);
        return std::unique_ptr<attempt>{std::make_unique<tls_attempt>(std::move(behind))};
    }
};

}  // namespace

std::shared_ptr<const transport> tls_transport() { return std::make_shared<tls_kind>(); }

}  // namespace coppice
