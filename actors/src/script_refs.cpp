// The table of refs that scripts share, and the actor that reads others; see script_refs.hpp.
// The table is behind a mutex; a script comes to it only where a message holds a ref.
#include "script_refs.hpp"

#include <map>
#include <mutex>
#include <random>
#include <unordered_map>
#include <utility>

namespace coppice::actors::script_parts {

namespace {

class shared_refs {
public:
    static shared_refs& of_process() {
        static shared_refs all;
        return all;
    }
    [[nodiscard]] std::uint64_t node() const noexcept { return node_; }

    wire_reference add(const ref<anything>& r) {
        const std::lock_guard lock{mutex_};
        const auto [at, is_new] = numbers_.try_emplace({r.id(), r.incarnation()}, last_ + 1);
        if (is_new) {
            refs_.emplace(++last_, r);
            if (refs_.size() > most_shared_refs) forget(refs_.begin());
        }
        return {node_, at->second, 0};
    }
    ref<anything> find(std::uint64_t number) {
        const std::lock_guard lock{mutex_};
        const auto at = refs_.find(number);
        return at == refs_.end() ? ref<anything>{} : at->second;
    }

private:
    shared_refs() {
        std::random_device random;
        node_ = (std::uint64_t{random()} << 32 | random()) | 1;  // 0 is nobody's
    }
    void forget(std::map<std::uint64_t, ref<anything>>::iterator oldest) {
        numbers_.erase({oldest->second.id(), oldest->second.incarnation()});
        refs_.erase(oldest);
    }

    std::mutex mutex_;
    std::uint64_t node_ = 0;  // none of a node: 64 bits of chance, as those are
    std::uint64_t last_ = 0;
    std::map<std::uint64_t, ref<anything>> refs_;  // by number, which is by age
    std::map<std::pair<std::uint64_t, std::uint32_t>, std::uint64_t> numbers_;
};

/// A list of references that arrives as this has been read as refs.
struct carried {
    std::vector<ref<>> refs;
};
/// The list that came last.
struct collect {
    using reply = std::vector<ref<>>;
};

task<> reader_of_refs(actor<protocol<carried, collect>> self) {
    std::vector<ref<>> last;
    while (auto m = co_await self.receive())
        m.match([&](carried& c) { last = std::move(c.refs); },
                [&](request<collect> r) { r.reply(std::exchange(last, {})); });
}

}  // namespace

wire_reference share(const ref<anything>& r) { return shared_refs::of_process().add(r); }
bool is_shared(const wire_reference& r) noexcept { return r.node == shared_refs::of_process().node(); }
ref<anything> shared(const wire_reference& r) { return shared_refs::of_process().find(r.actor); }

void find_foreign(const value& v, std::vector<wire_reference>& all) {
    if (const auto* r = v.get_if<wire_reference>()) {
        if (r->actor != 0 && !is_shared(*r)) all.push_back(*r);
    } else if (const auto* list = v.get_if<value::list>()) {
        for (const value& each : *list) find_foreign(each, all);
    } else if (const auto* record = v.get_if<value::record>()) {
        for (const value& each : record->fields) find_foreign(each, all);
    } else if (const auto* map = v.get_if<value::map>()) {
        for (const auto& [key, mapped] : *map) {
            find_foreign(key, all);
            find_foreign(mapped, all);
        }
    }
}

task<std::vector<ref<>>> read_refs(actor<anything> self, std::optional<ref<anything>>& reader,
                                   std::vector<wire_reference> all) {
    if (!reader) reader = self.spawn(&reader_of_refs);
    const ref<anything> to = *reader;
    value::list list;
    for (const wire_reference& one : all) list.emplace_back(one);
    // Two messages at once, so that nobody's comes between them.
    self.send<value>(to, value::record{{value{std::move(list)}}, type_id(message_name<carried>)});
    auto read = co_await self.ask<collect>(to, limits::ask_deadline);
    std::vector<ref<>> refs = read ? *std::move(read) : std::vector<ref<>>{};
    refs.resize(all.size());
    co_return refs;
}

}  // namespace coppice::actors::script_parts
