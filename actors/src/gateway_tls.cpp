// The gateway's streams over TLS, and how certificates are read for them. The other file that pays for Beast.
//
// TLS 1.2 is taken from others, because clients are browsers and servers of any age; ciphers are OpenSSL's defaults.
// Threading: the gateway's scheduler; a context belongs to a port or an outbound connection, and to its streams.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket/ssl.hpp>

#include "gateway_beast.hpp"

namespace coppice::actors::web_parts {

class tls_context {
public:
    explicit tls_context(bool listening)
        : context{listening ? boost::asio::ssl::context::tls_server : boost::asio::ssl::context::tls_client} {
    }
    boost::asio::ssl::context context;
};

namespace {

struct tls_layer : boost::beast::ssl_stream<tcp_socket> {
    tls_layer(tcp_socket socket, boost::asio::ssl::context& with)
        : boost::beast::ssl_stream<tcp_socket>{std::move(socket), with} {}
};
// The farewell of TLS is said by stream::linger(), too.
template <class Handler>
void async_teardown(boost::beast::role_type, tls_layer& layer, Handler&& done) {
    boost::asio::post(layer.get_executor(), boost::beast::bind_front_handler(std::forward<Handler>(done),
                                                                             boost::system::error_code{}));
}

// Without this, OpenSSL asks at the terminal for the passphrase of a key that has one.
int no_passphrase(char*, int, int, void*) { return -1; }

error unusable(const char* which, const std::string& file, const boost::system::error_code& failure) {
    return {errc::invalid_argument, std::string{"tls: "} + which + " " + file + ": " + failure.message()};
}

// A key that everybody on the machine may read, or replace, proves nothing.
bool is_for_all(const std::string& file) noexcept {
    struct stat seen{};
    return ::stat(file.c_str(), &seen) == 0 && (seen.st_mode & (S_IROTH | S_IWOTH)) != 0;
}

result<void> show_certificate(boost::asio::ssl::context& context, const web::tls_files& files) {
    boost::system::error_code failure;
    if (is_for_all(files.key))
        return error{errc::denied,
                     "tls: key " + files.key +
                         ": every user of this machine may read or write the file; chmod 600 it"};
    context.use_certificate_chain_file(files.cert, failure);
    if (failure) return unusable("cert", files.cert, failure);
    context.use_private_key_file(files.key, boost::asio::ssl::context::pem, failure);
    if (failure) return unusable("key", files.key, failure);
    if (SSL_CTX_check_private_key(context.native_handle()) != 1) {
        ERR_clear_error();
        return error{errc::invalid_argument,
                     "tls: key " + files.key + " is not that of the certificate " + files.cert};
    }
    return {};
}

}  // namespace

result<std::shared_ptr<tls_context>> make_tls_context(const web::tls_files& files, bool listening) {
    auto made = std::make_shared<tls_context>(listening);
    boost::asio::ssl::context& context = made->context;
    SSL_CTX* native = context.native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    SSL_CTX_set_default_passwd_cb(native, no_passphrase);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    boost::system::error_code failure;
    if (listening || !files.cert.empty())
        if (auto shown = show_certificate(context, files); !shown) return shown.error();
    if (!files.ca.empty()) {
        context.load_verify_file(files.ca, failure);
        if (failure) return unusable("ca", files.ca, failure);
        if (listening)
            if (STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(files.ca.c_str()))
                SSL_CTX_set_client_CA_list(native, names);
    } else if (!listening) {
        context.set_default_verify_paths(failure);
        if (failure) return error{errc::io, "tls: the system's certificates: " + failure.message()};
    }
    if (!listening) SSL_CTX_set_verify(native, SSL_VERIFY_PEER, nullptr);
    else if (!files.ca.empty())
        SSL_CTX_set_verify(native, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    return made;
}

std::shared_ptr<stream> make_tls_stream(boost::asio::io_context& io, int socket,
                                        std::shared_ptr<tls_context> context, std::string expected) {
    boost::asio::ssl::context& with = context->context;
    auto made = std::make_shared<beast_stream<tls_layer>>(io, std::move(context), adopt(io, socket), with);
    if (expected.empty()) return made;
    made->is_client();
    SSL* ssl = made->below().native_handle();
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
    boost::system::error_code no_address;
    boost::asio::ip::make_address(expected, no_address);
    if (!no_address) {
        X509_VERIFY_PARAM_set1_ip_asc(param, expected.c_str());
    } else {
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        X509_VERIFY_PARAM_set1_host(param, expected.c_str(), expected.size());
        SSL_set_tlsext_host_name(ssl, expected.c_str());
    }
    return made;
}

}  // namespace coppice::actors::web_parts
