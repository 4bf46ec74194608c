// The text of a recording; see recording.hpp. docs/scripts.md shows one.
#include "recording.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "coppice/actors/script.hpp"
#include "coppice/actors/script_text.hpp"
#include "exit_code.hpp"

namespace coppice::command {

// ---------------------------------------------------------------- the file

output_file::output_file(std::string name)
    : name_{std::move(name)},
      fd_{name_.empty() ? STDOUT_FILENO
                        : ::open(name_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)} {
    if (fd_ < 0)
        throw command_failed{exit_code::failed, name_ + " cannot be written: " + std::strerror(errno)};
}

output_file::~output_file() {
    if (!name_.empty() && fd_ >= 0) ::close(fd_);
}

result<void> output_file::write(std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd_, text.data(), text.size());
        if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
        else if (n == 0 || errno != EINTR)
            return error{errc::io, shown() + " cannot be written: " + std::strerror(n == 0 ? EIO : errno)};
    }
    return {};
}

result<void> output_file::close() {
    if (name_.empty()) return {};
    const int fd = std::exchange(fd_, -1);
    if (fd >= 0 && ::close(fd) != 0)
        return error{errc::io, name_ + " cannot be written: " + std::strerror(errno)};
    return {};
}

// ---------------------------------------------------------------- the script around the messages

namespace {

// What stands in a comment must not end it: types and paths are another's.
std::string in_comment(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return text;
}

// An ask does not hold up what comes after it, as it did not when it was recorded: each waits for its answer in a timer of its
// own, and the script goes on once it has been sent.
constexpr const char* functions = R"lua(local function at(other)
    local found, why = coppice.find(other)
    if not found then coppice.fail(other .. ": " .. why.code) end
    return found
end
local to = at(path)
local me, asked, begun, answered = coppice.self(), 0, 0, 0
local function pause(seconds) coppice.sleep(seconds) end
local function wait()
    if not coppice.receive() then coppice.fail("stopped before its end") end
end
local function send(what)
    local sent, why = coppice.send(to, what)
    while not sent and why.code == "mailbox_full" do
        coppice.sleep(0.001)
        sent, why = coppice.send(to, what)
    end
    if not sent then coppice.fail("cannot send to " .. path .. ": " .. tostring(why)) end
end
local function ask(what)
    asked = asked + 1
    local number = asked
    coppice.after(0, function()
        begun = begun + 1
        coppice.send(me, "begun")
        local answer, why = coppice.ask(to, what)
        if why then coppice.log.warn("request " .. number .. ": " .. tostring(why))
        else coppice.log.info("request " .. number .. ": " .. show(answer)) end
        answered = answered + 1
        coppice.send(me, "answered")
    end)
    while begun < asked or asked - answered > 500 do wait() end
end
)lua";

constexpr const char* show_function = R"lua(local function show(v)
    if type(v) ~= "table" then return type(v) == "string" and string.format("%q", v) or tostring(v) end
    local parts = {}
    for i = 1, #v do parts[i] = show(v[i]) end
    return "(" .. table.concat(parts, ", ") .. ")"
end
)lua";

// The path's node answers after all that was sent before.
constexpr const char* last_lines = R"lua(while answered < asked do wait() end
local node, above = coppice.find(path .. "/$node"), path
while not node and above ~= "" do
    above = above:match("^(.*)/[^/]*$") or ""
    node = coppice.find(above .. "/$node")
end
if node then coppice.ask(node, coppice.record("coppice::control::message_types", path), 60) end
)lua";

}  // namespace

recording::recording(recording_options o, known_names names, output_file& to)
    : o_{std::move(o)}, names_{std::move(names)}, to_{to} {}

// A script may have so many bytes; the end has room always.
result<void> recording::put(const std::string& text, bool is_end) {
    constexpr std::size_t room_for_end = 4096;
    if (!is_end && written_ + text.size() + room_for_end > actors::script_file_bytes)
        return error{errc::limit_reached, "the script has as many bytes as one may have (" +
                                              std::to_string(actors::script_file_bytes) +
                                              ", script_file_bytes): what comes now is not recorded"};
    written_ += text.size();
    return to_.write(text);
}

result<void> recording::begin() {
    const std::string path = actors::script_literal(o_.path);
    return put("-- What " + in_comment(o_.path) +
               " took, as `coppice script record` saw it. To send it again:\n" +
               "--     coppice script run --tree " + in_comment(o_.tree) + " FILE [PATH]\n" +
               "local path = ... or " + path + "\n" + show_function + functions + "\n");
}

result<void> recording::end() {
    return put(fmt::format("-- {} message{}{}\n", taken_, taken_ == 1 ? "" : "s",
                           missed_ ? fmt::format(", and {} missed", missed_) : "") +
                   last_lines,
               true);
}

// ---------------------------------------------------------------- messages

result<void> recording::gap(std::uint64_t messages) {
    if (messages == 0) return {};
    missed_ += messages;
    return put(fmt::format("-- missed: {} message{} that came faster than they could be recorded\n", messages,
                           messages == 1 ? "" : "s"));
}

result<void> recording::add(const control::mail_batch& b) {
    for (const control::mail_record& r : b.records) {
        if (done()) return {};
        if (auto told = gap(r.missed); !told) return told;
        if (auto told = one(r); !told) return told;
        ++taken_;
    }
    return done() ? result<void>{} : gap(b.missed);
}

// Up to now, in microseconds; what is less than one is kept for the next.
std::string recording::pause_before(const control::mail_record& r) {
    using std::chrono::microseconds;
    if (!last_) last_ = r.at;
    const auto since = std::chrono::floor<microseconds>(r.at - *last_);
    if (!o_.pauses || since.count() <= 0) return {};
    *last_ += since;
    return fmt::format("pause({}.{:06})\n", since.count() / 1'000'000, since.count() % 1'000'000);
}

std::string recording::type_of(const control::mail_record& r) const {
    if (!r.type.starts_with('#')) return r.type;
    const auto named = names_.types.find(r.type_id);
    return named == names_.types.end() ? r.type : named->second;
}

std::pair<std::string, std::string> recording::expression(const control::mail_record& r) const {
    if (r.own) return {"", "it sent that to itself"};
    if (r.again) return {"", "it took that before, and had put it aside"};
    switch (r.content) {
    case control::mail_content::value: break;
    case control::mail_content::too_large:
        return {"", r.size ? fmt::format("it has {} bytes, more than limits::mail_content", r.size)
                           : "it is too large for any wire form"};
    case control::mail_content::capnp: return {"", "it is a struct of Cap'n Proto, which is no value"};
    default: return {"", "its type cannot leave the process"};
    }
    const auto v = control::content_of(r);
    if (!v) return {"", "its bytes are no value"};
    const std::string type = type_of(r);
    const bool is_untyped = type == message_name<value>;
    if (!is_untyped && !v->get_if<value::record>())
        return {"", "a script cannot give that type to what is no record"};
    auto text = actors::script_text(*v, is_untyped ? "" : type, [this](const wire_reference& ref) {
        const auto known = names_.paths.find({ref.node, ref.actor});
        return known == names_.paths.end()
                   ? std::nullopt
                   : std::optional{"at(" + actors::script_literal(known->second) + ")"};
    });
    if (!text) return {"", "it holds " + std::string{text.error().text()}};
    return {*std::move(text), ""};
}

result<void> recording::one(const control::mail_record& r) {
    const std::string pause = pause_before(r);
    const auto [text, why_not] = expression(r);
    if (!text.empty()) return put(pause + (r.asked ? "ask(" : "send(") + text + ")\n");
    ++not_replayed_;
    return put(pause + "-- not sent again: " + in_comment(type_of(r)) + (r.asked ? ", a request" : "") +
               ": " + why_not + "\n");
}

}  // namespace coppice::command
