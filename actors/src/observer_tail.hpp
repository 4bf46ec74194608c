// The last of what is told line by line, as a state of the port: whoever comes gets all that are kept, who is there those that
// are new. The log and the events are such. Plain data; the observer's thread alone.
#pragma once
#include <cstddef>
#include <deque>
#include <string>
#include <utility>

#include "observer_json.hpp"

namespace coppice::actors::observing {

class last_lines {
public:
    last_lines(std::string topic, std::size_t most) : topic_{std::move(topic)}, most_{most} {}

    /// An object of JSON. The oldest goes if there are too many.
    void add(const std::string& line) {
        for (auto* into : {&kept_, &news_}) {
            into->push_back(line);
            if (into->size() > most_) into->pop_front();
        }
    }
    [[nodiscard]] const std::string& topic() const noexcept { return topic_; }
    [[nodiscard]] bool is_different() const noexcept { return !news_.empty() || is_owed_; }
    [[nodiscard]] std::string whole() const { return json_of("whole", kept_); }
    /// Takes what is new since the last time. Empty if who is there needs the whole.
    [[nodiscard]] std::string take_change() {
        std::string change = is_owed_ ? std::string{} : json_of("add", news_);
        news_.clear();
        return change;
    }
    /// Whether the last change was told.
    void told(bool done) noexcept { is_owed_ = !done; }

private:
    [[nodiscard]] std::string json_of(const char* field, const std::deque<std::string>& lines) const {
        std::string out;
        json_object o{out};
        o.text("topic", topic_).key(field);
        put_list(out, lines, [](std::string& to, const std::string& line) { to += line; });
        o.end();
        return out;
    }
    std::string topic_;
    std::size_t most_;
    std::deque<std::string> kept_;
    std::deque<std::string> news_;
    bool is_owed_ = false;
};

}  // namespace coppice::actors::observing
