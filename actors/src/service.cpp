// The part of a service that does not depend on its protocol: which client has which number, and whose turn it is. Used by
// one actor on its own thread; knows neither mailboxes nor messages.
#include "coppice/actors/service.hpp"

#include <algorithm>
#include <utility>

namespace coppice::actors {

std::string_view to_string(client_change c) noexcept {
    switch (c) {
    case client_change::joined: return "joined";
    case client_change::left: return "left";
    case client_change::lost: return "been lost";
    }
    return "changed";  // a number from another node that is none of these
}

namespace service_parts {

client_record& service_book::add() {
    std::uint32_t number = 1;
    for (const auto& [taken, client] : clients_) {
        if (taken != number) break;
        ++number;
    }
    client_record& client = clients_[number];
    client.number = number;
    return client;
}

void service_book::remove(std::uint32_t number) {
    std::erase(line_, number);
    clients_.erase(number);
}

client_record* service_book::find(std::uint32_t number) {
    const auto at = clients_.find(number);
    return at == clients_.end() ? nullptr : &at->second;
}

client_record* service_book::client_of(const ref<>& who) {
    for (auto& [number, client] : clients_)
        if (!client.departed && client.who == who) return &client;
    return nullptr;
}

client_record* service_book::monitored_by(std::uint64_t monitor) {
    for (auto& [number, client] : clients_)
        if (client.client_monitor == monitor || client.gate_monitor == monitor) return &client;
    return nullptr;
}

void service_book::line_up(client_record& client) {
    if (std::exchange(client.in_line, true)) return;
    client.in_line_since = turns_;
    line_.push_back(client.number);
}

client_record* service_book::next_turn() {
    if (line_.empty()) return nullptr;
    client_record& client = clients_.at(line_.front());
    line_.pop_front();
    client.in_line = false;
    client.longest_wait = std::max(client.longest_wait, turns_ - client.in_line_since);
    ++client.served;
    ++turns_;
    return &client;
}

std::vector<std::uint32_t> each_once(std::vector<std::uint32_t> numbers) {
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    return numbers;
}

client_change change_of(const exit_reason& reason) noexcept {
    return reason.is_clean() ? client_change::left : client_change::lost;
}

}  // namespace service_parts
}  // namespace coppice::actors
