// Names as addresses; see gateway_lookup.hpp. The thread posts that it is done to the io_context of who has asked, as long as that
// one is there: both look at that under a mutex.
#include "gateway_lookup.hpp"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <boost/asio/post.hpp>

namespace coppice::actors::web_parts {

namespace {

std::atomic<int> threads_at_work{0};

error not_found(const std::string& name, int failure) {
    return {errc::unreachable, name + ": " + ::gai_strerror(failure)};
}

result<lookup::endpoints> addresses_of(const std::string& name, const std::string& service, int flags) {
    addrinfo hints{};
    hints.ai_flags = flags | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* all = nullptr;
    if (const int failure = ::getaddrinfo(name.c_str(), service.c_str(), &hints, &all); failure != 0)
        return not_found(name, failure);
    lookup::endpoints found;
    for (const addrinfo* each = all; each; each = each->ai_next) {
        boost::asio::ip::tcp::endpoint one;
        if (each->ai_addrlen > one.capacity()) continue;
        std::memcpy(one.data(), each->ai_addr, each->ai_addrlen);
        one.resize(each->ai_addrlen);
        found.push_back(one);
    }
    ::freeaddrinfo(all);
    if (found.empty()) return error{errc::unreachable, name + ": it has no address"};
    return found;
}

}  // namespace

struct lookup::job {
    job(boost::asio::io_context& io, event& of) : told{&of}, waits_at{&io} {}
    event* told;  // of the asker's thread alone; null: nobody waits any more
    std::mutex mutex;
    boost::asio::io_context* waits_at;  // null: as above
    std::optional<result<endpoints>> found;

    static void run(const std::shared_ptr<job>& j, const std::string& name, const std::string& service);
    [[nodiscard]] bool has_answer() {
        const std::lock_guard lock{mutex};
        return found.has_value();
    }
};

void lookup::job::run(const std::shared_ptr<job>& j, const std::string& name, const std::string& service) {
    ::pthread_setname_np(::pthread_self(), "name lookup");
    auto found = addresses_of(name, service, 0);
    threads_at_work.fetch_sub(1, std::memory_order_relaxed);
    const std::lock_guard lock{j->mutex};
    j->found.emplace(std::move(found));
    if (j->waits_at)
        boost::asio::post(*j->waits_at, [j] {
            if (j->told) j->told->notify();
        });
}

lookup::lookup(boost::asio::io_context& io) : done_{io}, job_{std::make_shared<job>(io, done_)} {}

lookup::~lookup() {
    job_->told = nullptr;
    const std::lock_guard lock{job_->mutex};
    job_->waits_at = nullptr;
}

task<result<lookup::endpoints>> lookup::find(std::string name, std::string service) {
    if (auto numeric = addresses_of(name, service, AI_NUMERICHOST)) co_return numeric;
    if (threads_at_work.fetch_add(1, std::memory_order_relaxed) >= most_lookups) {
        threads_at_work.fetch_sub(1, std::memory_order_relaxed);
        co_return error{errc::limit_reached, name + ": as many names as may be are being looked up"};
    }
    try {
        // Signals are for threads that wait for them.
        sigset_t all;
        sigset_t before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        struct restore {
            const sigset_t& to;
            ~restore() { ::pthread_sigmask(SIG_SETMASK, &to, nullptr); }
        } const guard{before};
        std::thread{[j = job_, name, service] { job::run(j, name, service); }}.detach();
    } catch (const std::system_error& e) {
        threads_at_work.fetch_sub(1, std::memory_order_relaxed);
        co_return error{errc::limit_reached, name + ": no thread to look it up: " + e.what()};
    }
    while (!job_->has_answer()) co_await done_.wait();
    co_return *std::move(job_->found);
}

}  // namespace coppice::actors::web_parts
