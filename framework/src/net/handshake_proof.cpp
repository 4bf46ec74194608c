// That both ends of a link know the same secret, shown without saying it: nonces, and HMAC-SHA-256 from libcrypto.
// No state; any thread. The order of the messages is the link's business.
#include "net/handshake_proof.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string_view>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

namespace coppice::net {

namespace handshake {

mac hmac_sha256(std::string_view key, std::span<const std::byte> data) {
    mac code{};
    unsigned length = 0;
    COPPICE_ASSERT(key.size() <= INT_MAX, "a secret of more than 2 GiB");
    // A null key means to OpenSSL that the one from before is used: an empty one needs an address, too.
    const void* const done = HMAC(EVP_sha256(), key.empty() ? "" : key.data(), static_cast<int>(key.size()),
                                  reinterpret_cast<const unsigned char*>(data.data()), data.size(),
                                  reinterpret_cast<unsigned char*>(code.data()), &length);
    COPPICE_ASSERT(done && length == code.size(), "libcrypto does not compute HMAC-SHA-256");
    return code;
}

std::vector<std::byte> transcript(bool by_connector, std::span<const std::byte> connector_hello,
                                  std::span<const std::byte> acceptor_hello) {
    const std::string_view label =
        by_connector ? "coppice 1 proof of the connector" : "coppice 1 proof of the acceptor";
    std::vector<std::byte> all;
    all.reserve(3 * sizeof(std::uint64_t) + label.size() + connector_hello.size() + acceptor_hello.size());
    for (const std::span<const std::byte> part :
         {std::as_bytes(std::span{label}), connector_hello, acceptor_hello}) {
        for (unsigned bit = 0; bit < 64; bit += 8)
            all.push_back(static_cast<std::byte>((std::uint64_t{part.size()} >> bit) & 0xff));
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

}  // namespace handshake

namespace {

template <class Bytes>
Bytes random_bytes() {
    Bytes fresh{};
    std::size_t filled = 0;
    while (filled < fresh.size()) {
        const ssize_t got = ::getrandom(fresh.data() + filled, fresh.size() - filled, 0);
        // Without random bytes a proof could be replayed: there is no way to go on. It fails on no supported kernel.
        COPPICE_ASSERT(got > 0 || errno == EINTR, "the operating system gives no random bytes");
        if (got > 0) filled += static_cast<std::size_t>(got);
    }
    return fresh;
}

}  // namespace

nonce make_nonce() { return random_bytes<nonce>(); }
token make_token() { return random_bytes<token>(); }

mac prove(std::string_view secret, bool by_connector, std::span<const std::byte> connector_hello,
          std::span<const std::byte> acceptor_hello) {
    return handshake::hmac_sha256(secret,
                                  handshake::transcript(by_connector, connector_hello, acceptor_hello));
}

bool same(const mac& a, const mac& b) noexcept { return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }
bool same(const token& a, const token& b) noexcept {
    return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace coppice::net
