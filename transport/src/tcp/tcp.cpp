// The kind "tcp": tcp_socket's connections as links, without protection and therefore on loopback unless told
// otherwise. Runs on the reactor's thread; see tcp.hpp for its options.
#include "coppice/transport/tcp.hpp"

#include <utility>

#include "tcp/tcp_socket.hpp"

namespace coppice {

namespace {

using namespace detail;  // NOLINT(google-build-using-namespace): the transports' shared parts

result<tcp_settings> read(const endpoint& where) {
    if (auto known = where.only({"insecure", "user-timeout-ms"}); !known) return known.error();
    const auto insecure = where.one_of("insecure", "refuse", {"refuse", "allow"});
    if (!insecure) return insecure.error();
    const auto timeout = user_timeout_of(where);
    if (!timeout) return timeout.error();
    return tcp_settings{*insecure == "allow", *timeout};
}

std::unique_ptr<byte_link> link_of(stream_descriptor descriptor) {
    const int fd = descriptor.native_handle();
    peer_identity peer = tcp_peer(fd);
    bound_send_buffer(fd, peer);
    return make_stream_link(std::move(descriptor), std::make_unique<socket_channel>(fd), std::move(peer));
}

class tcp_listener final : public listener {
public:
    tcp_listener(endpoint where, std::shared_ptr<accept_loop> loop)
        : where_{std::move(where)}, loop_{std::move(loop)} {}
    tcp_listener(const tcp_listener&) = delete;
    tcp_listener& operator=(const tcp_listener&) = delete;
    ~tcp_listener() override { loop_->stop(); }
    [[nodiscard]] const endpoint& where() const noexcept override { return where_; }

private:
    endpoint where_;
    std::shared_ptr<accept_loop> loop_;
};

class tcp_attempt final : public attempt {
public:
    explicit tcp_attempt(std::shared_ptr<tcp_connector> connector) : connector_{std::move(connector)} {}
    tcp_attempt(const tcp_attempt&) = delete;
    tcp_attempt& operator=(const tcp_attempt&) = delete;
    ~tcp_attempt() override { connector_->stop(); }

private:
    std::shared_ptr<tcp_connector> connector_;
};

class tcp_kind final : public transport {
public:
    [[nodiscard]] std::string_view scheme() const noexcept override { return "tcp"; }
    [[nodiscard]] coppice::reach reach() const noexcept override { return coppice::reach::network; }

    [[nodiscard]] result<std::unique_ptr<listener>> listen(reactor& on, const endpoint& where,
                                                           accepted_function accepted) const override {
        const auto settings = read(where);
        if (!settings) return settings.error();
        const auto io = io_of(on, where);
        if (!io) return io.error();
        endpoint real = where;
        auto listening = tcp_listen(**io, real, *settings);
        if (!listening) return listening.error();
        auto loop = std::make_shared<accept_loop>(**io, std::move(*listening));
        loop->run([&context = **io, wanted = *settings, at = place(real),
                   tell = std::move(accepted)](unique_fd peer) {
            set_tcp_options(peer.get(), wanted);
            if (auto watched = watch(context, std::move(peer), at)) tell(link_of(std::move(*watched)));
        });
        return std::unique_ptr<listener>{std::make_unique<tcp_listener>(std::move(real), std::move(loop))};
    }

    [[nodiscard]] result<std::unique_ptr<attempt>> connect(reactor& on, const endpoint& where,
                                                           connected_function done) const override {
        const auto settings = read(where);
        if (!settings) return settings.error();
        const auto io = io_of(on, where);
        if (!io) return io.error();
        auto connector = tcp_connector::run(**io, where, *settings,
                                            [tell = std::move(done)](result<stream_descriptor> connected) {
                                                if (!connected) return tell(connected.error());
                                                tell(link_of(std::move(*connected)));
                                            });
        if (!connector) return connector.error();
        return std::unique_ptr<attempt>{std::make_unique<tcp_attempt>(std::move(*connector))};
    }
};

}  // namespace

std::shared_ptr<const transport> tcp_transport() { return std::make_shared<tcp_kind>(); }

}  // namespace coppice
