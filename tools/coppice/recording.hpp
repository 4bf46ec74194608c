// What a followed actor takes (control::follow_mail), written down as a script that sends it again: text in whole lines, each written
// and known to be written before the next is made. One thread at a time.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "coppice/control_actor.hpp"
#include "coppice/value.hpp"

namespace coppice::command {

/// Where the text goes: standard output, or a file of its own.
class output_file {
public:
    /// Empty: standard output. Throws command_failed if the file cannot be made.
    explicit output_file(std::string name);
    ~output_file();
    output_file(const output_file&) = delete;
    output_file& operator=(const output_file&) = delete;
    /// Writes all of it, or says why not. May wait for whoever reads it.
    result<void> write(std::string_view text);
    /// A file that cannot be finished may tell so only now.
    result<void> close();
    [[nodiscard]] std::string shown() const { return name_.empty() ? "standard output" : name_; }

private:
    std::string name_;
    int fd_;
};

struct recording_options {
    std::string path;
    std::string tree;
    bool pauses = true;
    std::uint64_t count = 0;  ///< messages; 0: endless
};

/// Names of what the tree has, for what messages know by number alone.
struct known_names {
    std::map<std::uint64_t, std::string> types;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> paths;  ///< by node and actor there
};

class recording {
public:
    recording(recording_options o, known_names names, output_file& to);

    /// The part of the script before all messages.
    result<void> begin();
    /// Until there are as many as were asked for; then done() is true.
    result<void> add(const control::mail_batch& b);
    /// The part that waits for what was asked.
    result<void> end();

    [[nodiscard]] bool done() const noexcept { return o_.count != 0 && taken_ >= o_.count; }
    [[nodiscard]] std::uint64_t missed() const noexcept { return missed_; }
    [[nodiscard]] std::uint64_t not_replayed() const noexcept { return not_replayed_; }

private:
    result<void> put(const std::string& text, bool is_end = false);
    result<void> one(const control::mail_record& r);
    result<void> gap(std::uint64_t messages);
    std::string pause_before(const control::mail_record& r);
    /// The expression, or why there is none.
    std::pair<std::string, std::string> expression(const control::mail_record& r) const;
    [[nodiscard]] std::string type_of(const control::mail_record& r) const;

    recording_options o_;
    known_names names_;
    output_file& to_;
    std::size_t written_ = 0;
    std::uint64_t taken_ = 0;
    std::uint64_t missed_ = 0;
    std::uint64_t not_replayed_ = 0;
    std::optional<std::chrono::nanoseconds> last_;  // up to where pauses have been written
};

}  // namespace coppice::command
