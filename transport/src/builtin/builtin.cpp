// All kinds of transport that come with Coppice, in one call; see builtin.hpp.
// Any thread. A program that calls this links every kind, OpenSSL included.
#include "coppice/transport/builtin.hpp"

#include "coppice/transport.hpp"
#include "coppice/transport/inproc.hpp"
#include "coppice/transport/pipe.hpp"
#include "coppice/transport/shm.hpp"
#include "coppice/transport/tcp.hpp"
#include "coppice/transport/tls.hpp"
#include "coppice/transport/unix.hpp"

namespace coppice {

void register_builtin_transports() {
    for (const auto& kind : {inproc_transport(), unix_transport(), shm_transport(), pipe_transport(),
                             tcp_transport(), tls_transport()})
        register_transport(kind);
}

}  // namespace coppice
