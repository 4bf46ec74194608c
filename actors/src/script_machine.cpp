// The Lua state of a script: see script_machine.hpp. Lua is built as C++: its errors are exceptions, and destructors run.
//
// Why a limit's error cannot be held up: in a coroutine that can yield, the hook yields past every pcall to resume(), which
// throws. Elsewhere (a comparison that table.sort calls) it raises, and from then on at every instruction, so that whoever
// catches it is thrown out of its next one. Lua runs handlers of xpcall, finalizers and __close without hooks: the
// sandbox has none of them.
#include "script_machine.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <lauxlib.h>
#include <lualib.h>

#include "descriptor.hpp"
#include "script_prelude.hpp"

namespace coppice::actors::script_parts {

namespace {

// How often the hook looks: often enough to be near the limit, seldom enough to cost nothing.
constexpr std::uint64_t most_instructions_unseen = 1000;

// Of what is copied, bytes that count as one instruction.
constexpr std::size_t bytes_an_instruction = 32;

char is_wish = 0;

std::string read_file(const std::string& path) {
    // Not blocking: a pipe of that name must not hold up the scheduler. It is refused below.
    const descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (!file) throw script_failed{path + ": " + std::strerror(errno)};
    struct stat about{};
    if (::fstat(file.get(), &about) != 0) throw script_failed{path + ": " + std::strerror(errno)};
    if (!S_ISREG(about.st_mode)) throw script_failed{path + ": not a file"};
    std::string text(script_file_bytes + 1, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t n = ::read(file.get(), text.data() + size, text.size() - size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw script_failed{path + ": " + std::strerror(errno)};
        if (n == 0) break;
        size += static_cast<std::size_t>(n);
    }
    if (size > script_file_bytes)
        throw script_failed{
            fmt::format("{}: more than {} bytes, which a script may have at most", path, script_file_bytes)};
    text.resize(size);
    return text;
}

// The innermost place in the script's own code, "rules.lua:12", or nothing.
std::string place_in(lua_State* l) {
    lua_Debug at{};
    for (int level = 0; lua_getstack(l, level, &at); ++level) {
        lua_getinfo(l, "Sl", &at);
        if (at.currentline > 0 && std::string_view{at.source} != prelude_name)
            return fmt::format("{}:{}", at.short_src, at.currentline);
    }
    return {};
}

}  // namespace

std::string name_in_errors(const script_options& options) {
    return options.file.empty() ? "script" : options.file;
}

std::string principal_of(const script_options& options, const std::string& actor_path) {
    const std::filesystem::path file{options.file};
    const bool is_lua = file.extension() == ".lua";
    if (!options.file.empty()) return "script:" + (is_lua ? file.stem() : file.filename()).string();
    return "script:" + actor_path.substr(actor_path.rfind('/') + 1);
}

std::string read_script(const script_options& options) {
    if (!options.file.empty()) return read_file(options.file);
    if (options.source.size() > script_file_bytes)
        throw script_failed{
            fmt::format("script: more than {} bytes, which a script may have at most", script_file_bytes)};
    return options.source;
}

// ---------------------------------------------------------------- limits

void* machine::allocate(void* of, void* block, std::size_t old_size, std::size_t new_size) noexcept {
    auto& m = *static_cast<machine*>(of);
    const std::size_t had = block ? old_size : 0;
    if (new_size == 0) {
        std::free(block);
        m.held_ -= had;
        return nullptr;
    }
    if (new_size > had) {
        if (m.limited_ &&
            (m.held_ - had + new_size > m.options_.memory || m.used_ > m.options_.instructions)) {
            // Lua collects and asks again; what it then still cannot have is the limit.
            const bool never = new_size > m.options_.memory;
            if ((never || m.refused_ == new_size) && m.used_ <= m.options_.instructions &&
                !m.out_of_memory_) {
                m.out_of_memory_ = true;
                // Each further attempt would collect everything again. A hook may be set at any time, as from a signal.
                if (m.running_) lua_sethook(m.running_, &on_count, LUA_MASKCOUNT, 1);
            }
            m.refused_ = new_size;
            return nullptr;
        }
        m.refused_ = 0;
        m.charge(new_size / bytes_an_instruction);  // what a large one is filled with is copied
    }
    void* moved = std::realloc(block, new_size);
    if (moved) m.held_ = m.held_ - had + new_size;
    return moved;
}

void machine::on_count(lua_State* l, lua_Debug*) {
    machine& m = of(l);
    m.used_ += static_cast<std::uint64_t>(m.quantum_);
    if (m.doom_.empty()) {
        if (m.used_ <= m.options_.instructions && !m.out_of_memory_) return;
        const std::string place = place_in(l);
        m.doom_ = m.out_of_memory_ ? m.memory_text(place) : m.instructions_text(place);
    }
    if (lua_isyieldable(l)) {
        lua_yield(l, 0);
        return;
    }
    lua_sethook(l, &on_count, LUA_MASKCOUNT, 1);
    m.limited_ = false;  // the error's text has to be made
    lua_pushlstring(l, m.doom_.data(), m.doom_.size());
    m.limited_ = true;
    lua_error(l);
}

std::string machine::memory_text(const std::string& place) const {
    return fmt::format("{}{}the script needs more than {} bytes of memory (script_options::memory)", place,
                       place.empty() ? "" : ": ", options_.memory);
}

std::string machine::instructions_text(const std::string& place) const {
    return fmt::format("{}{}the script ran more than {} instructions without awaiting anything "
                       "(script_options::instructions)",
                       place, place.empty() ? "" : ": ", options_.instructions);
}

// ---------------------------------------------------------------- life

int machine::on_panic(lua_State* l) {
    const char* why = lua_tostring(l, -1);
    throw script_failed{std::string{"outside of any protection: "} + (why ? why : "no text")};
}

machine::machine(actor<anything> self, script_options options)
    : self_{self},
      options_{std::move(options)},
      name_{name_in_errors(options_)},
      as_script_{self, principal_of(options_, self.path())} {
    quantum_ =
        static_cast<int>(std::clamp<std::uint64_t>(options_.instructions / 4, 1, most_instructions_unseen));
    main_ = lua_newstate(&allocate, this);
    if (!main_) throw std::bad_alloc{};
    lua_atpanic(main_, &on_panic);
    *static_cast<machine**>(lua_getextraspace(main_)) = this;
}

machine::~machine() {
    limited_ = false;
    lua_close(main_);
}

thread machine::load() {
    const std::string text = read_script(options_);
    thread t;
    protect([&](lua_State* l) {
        open_sandbox(l);
        open_calls(l);
        return 0;
    });
    limited_ = true;
    used_ = 0;
    protect([&](lua_State* l) {
        const std::string chunk = "@" + name_;
        if (luaL_loadbufferx(l, text.data(), text.size(), chunk.c_str(), "t") != LUA_OK) lua_error(l);
        t = new_thread(l);
        return 0;
    });
    return t;
}

// Runs `body` with nothing on the stack; what it returns is left there. An error of it leaves as script_failed.
int machine::protect(const answer& body) {
    if (!lua_checkstack(main_, LUA_MINSTACK)) throw script_failed{memory_text({})};
    lua_settop(main_, 0);
    lua_pushcfunction(main_, [](lua_State* l) {
        const auto& run = *static_cast<const answer*>(lua_touserdata(l, 1));
        lua_settop(l, 0);
        try {
            return run(l);
        } catch (const std::exception& e) {
            lua_pushstring(l, e.what());
        }
        return lua_error(l);
    });
    lua_pushlightuserdata(main_, const_cast<void*>(static_cast<const void*>(&body)));
    const int status = lua_pcall(main_, 1, LUA_MULTRET, 0);
    if (status == LUA_OK) return lua_gettop(main_);
    std::string why = describe_failure(main_, status);
    lua_settop(main_, 0);
    throw script_failed{std::move(why)};
}

thread machine::new_thread(lua_State* l) {
    thread t;
    t.lua = lua_newthread(l);
    lua_sethook(t.lua, &on_count, LUA_MASKCOUNT, quantum_);
    lua_pushvalue(l, -2);
    lua_xmove(l, t.lua, 1);
    t.anchor = luaL_ref(l, LUA_REGISTRYINDEX);
    lua_pop(l, 1);
    return t;
}

void machine::drop(thread t) noexcept { luaL_unref(main_, LUA_REGISTRYINDEX, t.anchor); }

// ---------------------------------------------------------------- running

std::optional<wish> machine::resume(thread t, const answer& with) {
    used_ = 0;
    wish_.reset();
    const int given = with ? protect(with) : 0;
    if (!lua_checkstack(t.lua, given + LUA_MINSTACK)) throw script_failed{memory_text({})};
    lua_xmove(main_, t.lua, given);
    int results = 0;
    running_ = t.lua;
    const int status = lua_resume(t.lua, main_, given, &results);
    running_ = nullptr;
    if (doom_.empty() && out_of_memory_) doom_ = memory_text(place_in(t.lua));  // and caught it
    // In a function of C++, which gave up.
    if (doom_.empty() && status > LUA_YIELD && is_over()) doom_ = instructions_text(place_in(t.lua));
    if (!doom_.empty()) throw script_failed{doom_};
    if (status == LUA_OK) return {};
    if (status != LUA_YIELD) throw script_failed{describe_failure(t.lua, status)};
    const bool is_one = wish_ && results == 1 && lua_touserdata(t.lua, -1) == &is_wish;
    if (!is_one)
        throw script_failed{place_in(t.lua) + ": coroutine.yield outside of a coroutine of the script's"};
    lua_pop(t.lua, results);
    return std::exchange(wish_, std::nullopt);
}

int machine::wait_for(lua_State* l, wish w) {
    if (!lua_isyieldable(l))
        return luaL_error(l, "this waits, which a function called by sort, gsub or a metamethod cannot do");
    wish_ = std::move(w);
    lua_pushlightuserdata(l, wait_mark());
    return lua_yield(l, 1);
}

void* machine::wait_mark() noexcept { return &is_wish; }

thread machine::thread_for(thread function) {
    thread t;
    protect([&](lua_State* l) {
        lua_pushvalue(function.lua, 1);
        lua_xmove(function.lua, l, 1);
        t = new_thread(l);
        return 0;
    });
    return t;
}

std::string machine::describe_failure(lua_State* l, int status) const {
    const std::string place = place_in(l);
    if (status == LUA_ERRMEM) return is_over() ? instructions_text(place) : memory_text(place);
    const std::string before = place.empty() ? "" : place + ": ";
    switch (lua_type(l, -1)) {
    case LUA_TSTRING:
    case LUA_TNUMBER: {
        std::size_t size = 0;
        const char* text = lua_type(l, -1) == LUA_TSTRING ? lua_tolstring(l, -1, &size) : nullptr;
        // What buffers of Lua's library say, which ask the allocator themselves.
        if (text && std::string_view{text, size} == "not enough memory") return memory_text(place);
        return text ? std::string{text, size} : before + fmt::format("{}", lua_tonumber(l, -1));
    }
    case LUA_TTABLE: {
        lua_pushstring(l, "text");
        lua_rawget(l, -2);
        const char* text = lua_type(l, -1) == LUA_TSTRING ? lua_tostring(l, -1) : nullptr;
        std::string told = text ? before + text : before + "error object is a table";
        lua_pop(l, 1);
        return told;
    }
    default: return before + "error object is a " + lua_typename(l, lua_type(l, -1)) + " value";
    }
}

std::string machine::read_module(const std::string& name) const {
    const bool named = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return c == '_' || (c < 128 && std::isalnum(c));
    });
    if (!named || std::find(options_.modules.begin(), options_.modules.end(), name) == options_.modules.end())
        throw script_failed{"module '" + name + "' is not among those that this script may require"};
    const auto beside = std::filesystem::path{options_.file}.parent_path() / (name + ".lua");
    return read_file(beside.string());
}

}  // namespace coppice::actors::script_parts
