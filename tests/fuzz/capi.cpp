// Sequences of calls of the C interface, spaces included, right and wrong: with handles that are open, closed, of another kind or none, with null
// pointers and odd sizes. Each call gives a code of the table and comes back, and what was given out can be given back.
// The corpus has sequences that reach every call.
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "coppice.h"
#include "coppice_space.h"
#include "support/fuzz_input.hpp"

namespace {

using coppice::tests::expect;

void handled(void* user, coppice_actor, coppice_mail mail) {
    ++*static_cast<int*>(user);
    static_cast<void>(coppice_reply_int64(mail, 1));
}

// Where the spaces of this process lie.
class own_space_directory {
public:
    own_space_directory() { expect(::mkdtemp(path_) != nullptr); }
    ~own_space_directory() { ::rmdir(path_); }
    own_space_directory(const own_space_directory&) = delete;
    own_space_directory& operator=(const own_space_directory&) = delete;
    [[nodiscard]] const char* path() const noexcept { return path_; }

private:
    char path_[32] = "/dev/shm/coppice-fuzz-XXXXXX";
};

class sequence {
public:
    explicit sequence(coppice::tests::fuzz_input in) : in_{in} {}
    void run() {
        coppice_node_options o{};
        o.size = sizeof o;
        o.log_level = COPPICE_OFF;
        expect(coppice_open_node(&o, &all_[0]) == COPPICE_OK);
        expect(coppice_open_actor(all_[0], nullptr, &all_[1]) == COPPICE_OK);
        expect(coppice_self(all_[1], &all_[2]) == COPPICE_OK);
        static const own_space_directory directory;
        coppice_space_options in_memory{};
        in_memory.size = sizeof in_memory;
        in_memory.directory = directory.path();
        in_memory.slots = 4;
        in_memory.total_bytes = 64 << 10;
        expect(coppice_create_space(0, "studio", &in_memory, &all_[3]) == COPPICE_OK);
        expect(coppice_reserve_slot(all_[3], "image", 4096, 0, &all_[4]) == COPPICE_OK);
        for (int steps = 0; !in_.ended() && steps < 200; ++steps) {
            const int code = step();
            expect(code >= COPPICE_OK && code <= COPPICE_TOO_LARGE);
            expect(code == COPPICE_OK || *coppice_error_text() != '\0');
        }
        for (std::size_t i = 1; i < all_.size(); ++i) static_cast<void>(coppice_close(all_[i]));
        static_cast<void>(coppice_close(all_[0]));
        expect(coppice_open_handles() == 0);
    }

private:
    coppice_handle any() {
        const std::uint8_t b = in_.byte();
        if (b == 255) return 0x123456789abcdef0;
        if (b == 254) return 0;
        return all_[b % all_.size()];
    }
    // What a call puts here is kept in place of what was there, which is given back.
    coppice_handle* out() {
        const std::uint8_t b = in_.byte();
        if (b == 255) return nullptr;
        coppice_handle& place = all_[5 + b % (all_.size() - 5)];
        static_cast<void>(coppice_close(place));
        place = 0;
        return &place;
    }
    const char* text() {
        constexpr const char* texts[] = {
            "shop",        "",     "/a/b",  "\xff\xfe",
            "gr\xc3\xbcn", "news", nullptr, "0123456789012345678901234567890123456789"};
        return texts[in_.byte() % 8];
    }
    std::size_t size(const char* of) {
        const std::size_t whole = of ? std::strlen(of) : 0;
        switch (in_.byte() % 3) {
        case 0: return COPPICE_TERMINATED;
        case 1: return whole;
        default: return whole / 2;
        }
    }
    std::int64_t number() {
        constexpr std::int64_t numbers[] = {0, 1, -1, INT64_MIN, INT64_MAX, 7, 255, 1'000'000};
        return numbers[in_.byte() % 8];
    }
    std::uint64_t wait() { return in_.byte() % 2; }

    int step() {
        int i = 0;
        double x = 0;
        std::int64_t n = 0;
        std::uint64_t u = 0;
        std::size_t s = 0;
        const char* t = nullptr;
        const void* b = nullptr;
        char room[16];
        switch (in_.byte() % 65) {
        case 64: return space_step();
        case 0: return coppice_close(any());
        case 1: return coppice_open_actor(any(), nullptr, out());
        case 2: {
            coppice_actor_options o{};
            o.size = in_.byte() % 4 ? sizeof o : in_.byte() % (sizeof o + 1);
            o.name = text();
            o.mailbox = in_.byte();
            return coppice_open_actor(any(), &o, out());
        }
        case 3: return coppice_path(any(), in_.byte() % 4 ? &t : nullptr, &s);
        case 4: return coppice_find(any(), "/nobody/here", out());
        case 5: return coppice_self(any(), out());
        case 6: return coppice_ref_text(any(), room, in_.byte() % sizeof room);
        case 7: return coppice_same(any(), any());
        case 8: return coppice_send_nothing(any(), any());
        case 9: return coppice_send_bool(any(), any(), 1);
        case 10: return coppice_send_int32(any(), any(), 1);
        case 11: return coppice_send_int64(any(), any(), number());
        case 12: return coppice_send_uint64(any(), any(), static_cast<std::uint64_t>(number()));
        case 13: return coppice_send_double(any(), any(), std::numeric_limits<double>::quiet_NaN());
        case 14: t = text(); return coppice_send_text(any(), any(), t, size(t));
        case 15: return coppice_send_bytes(any(), any(), "bytes", in_.byte() % 6);
        case 16: return coppice_send_pair(any(), any(), number(), number());
        case 17: return coppice_send_four(any(), any(), number(), number(), 3, 4);
        case 18: t = text(); return coppice_send_int_text(any(), any(), number(), t, size(t));
        case 19: return coppice_send_tagged(any(), any(), 9, "tagged", in_.byte() % 7);
        case 20: return coppice_send(any(), any(), any(), wait());
        case 21: return coppice_ask(any(), any(), any(), wait(), out());
        case 22: return coppice_ask_later(any(), any(), any(), wait(), &u);
        case 23:
        case 24: return coppice_receive(any(), wait(), out());
        case 25: return coppice_peek(any(), wait(), out());
        case 26: return coppice_descriptor(any(), &i);
        case 27: return coppice_mail_kind_of(any(), &i);
        case 28: return coppice_mail_value(any(), out());
        case 29: return coppice_mail_sender(any(), out());
        case 30: return coppice_mail_number(any(), &u);
        case 31: return coppice_mail_code(any(), &i);
        case 32: return coppice_reply(any(), any());
        case 33: t = text(); return coppice_reply_text(any(), t, size(t));
        case 34: t = text(); return coppice_fail(any(), t, size(t));
        case 35:
            return coppice_handle_kind(any(), in_.byte() % 14 - 2, in_.byte() % 2 ? &handled : nullptr,
                                       &calls_);
        case 36: return coppice_dispatch(any(), wait(), &s);
        case 37: return coppice_keep(any());
        case 38: return coppice_new_nothing(out());
        case 39: return coppice_new_int64(number(), out());
        case 40: return coppice_new_uint64(static_cast<std::uint64_t>(number()), out());
        case 41: return coppice_new_double(0.5, out());
        case 42: t = text(); return coppice_new_text(t, size(t), out());
        case 43: return coppice_new_bytes("bytes", in_.byte() % 6, out());
        case 44: return coppice_new_tagged(3, "tagged", in_.byte() % 7, out());
        case 45: return coppice_new_ref(any(), out());
        case 46: return coppice_new_list(out());
        case 47: return coppice_new_map(out());
        case 48: return coppice_new_record(text(), out());
        case 49: return coppice_add(any(), any());
        case 50: return coppice_put(any(), any(), any());
        case 51: return coppice_value_kind_of(any(), &i);
        case 52: return coppice_get_int64(any(), &n);
        case 53: return coppice_get_double(any(), &x);
        case 54: return coppice_get_text(any(), &t, &s);
        case 55: return coppice_get_tagged(any(), &u, &b, &s);
        case 56: return coppice_get_ref(any(), out());
        case 57: return coppice_value_size(any(), &s);
        case 58: return coppice_value_at(any(), in_.byte() % 3, out());
        case 59: return coppice_value_key(any(), in_.byte() % 3, out());
        case 60: return coppice_value_text(any(), room, in_.byte() % sizeof room);
        case 61: t = text(); return in_.byte() % 2 ? coppice_join(any(), t) : coppice_leave(any(), t);
        case 62: t = text(); return coppice_publish(any(), t, any(), &s);
        default:
            switch (in_.byte() % 10) {
            case 8: return coppice_receive_bytes(any(), wait(), room, in_.byte() % sizeof room, &s, out());
            case 9: {
                coppice_view v{};
                v.size = in_.byte() % 4 ? sizeof v : in_.byte();
                const int code = coppice_receive_view(any(), wait(), &v, room, in_.byte() % sizeof room);
                if (coppice_mail* const to = out()) *to = v.mail;
                else coppice_close(v.mail);
                return code;
            }
            case 4: return coppice_receive_answer(any(), wait(), out());
            case 5: return coppice_find_later(any(), "/nobody/here", &u);
            case 6: return coppice_send_later(any(), any(), any(), wait(), &u);
            case 7: {
                const int code = coppice_stream(any(), &i);
                if (code == COPPICE_OK) ::close(i);
                return code;
            }
            case 0: return coppice_monitor(any(), any(), &u);
            case 1: return coppice_stop(any(), any());
            case 2: return coppice_shutdown(any(), any(), wait());
            default: return coppice_kill(any(), any());
            }
        }
    }

    // One of the pointers that there were, changed a little or not.
    coppice_slot_pointer* pointer() {
        const std::uint8_t b = in_.byte();
        if (b == 255) return nullptr;
        coppice_slot_pointer& p = pointers_[b % pointers_.size()];
        switch (in_.byte() % 16) {
        case 0: p.offset = static_cast<std::uint64_t>(number()); break;
        case 1: p.count = static_cast<std::uint64_t>(number()); break;
        case 2: p.object_bytes = static_cast<std::uint32_t>(number()); break;
        case 3: ++p.generation; break;
        case 4: ++p.filling; break;
        default: break;
        }
        return &p;
    }
    std::uint32_t object_bytes() {
        constexpr std::uint32_t all[] = {0, 1, 2, 4, 8, 24, 4096, UINT32_MAX};
        return all[in_.byte() % 8];
    }
    std::uint64_t some_bytes() {
        constexpr std::uint64_t all[] = {0, 1, 100, 4096, 40'000, UINT64_MAX};
        return all[in_.byte() % 6];
    }

    int space_step() {
        int i = 0;
        std::uint64_t used = 0;
        const void* seen = nullptr;
        void* at = nullptr;
        const char* t = nullptr;
        switch (in_.byte() % 18) {
        case 0: t = text(); return coppice_open_space(any(), t, nullptr, out());
        case 1: {
            coppice_space_options o{};
            o.size = in_.byte() % 4 ? sizeof o : in_.byte() % (sizeof o + 1);  // never more than there is
            o.slots = in_.byte() % 3;
            o.directory = "/nowhere";
            return coppice_create_space(any(), "studio", &o, out());
        }
        case 2: t = text(); return coppice_reserve_slot(any(), t, some_bytes(), wait(), out());
        case 3: t = text(); return coppice_open_slot(any(), in_.byte() % 2 ? "image" : t, out());
        case 4: t = text(); return coppice_release_slot(any(), in_.byte() % 2 ? "image" : t, wait());
        case 5: return coppice_slot_report(any(), out());
        case 6: return coppice_list_slots(any(), out());
        case 7: return coppice_read_slot(any(), wait(), out());
        case 8: return coppice_write_slot(any(), wait(), out());
        case 9: return coppice_repair_slot(any(), wait(), out());
        case 10: return coppice_reset_slot(any(), wait());
        case 11: return coppice_abandon(any());
        case 12: return coppice_guard_state(any(), in_.byte() % 2 ? &used : nullptr, nullptr, &i);
        case 13: return coppice_allocate(any(), some_bytes(), object_bytes(), object_bytes(), pointer());
        case 14: return coppice_clear(any());
        case 15: {
            // What is given is there: all of it is read.
            const coppice_slot_pointer* const p = pointer();
            const int code = coppice_objects(any(), p, object_bytes(), object_bytes(), &seen);
            if (code == COPPICE_OK) touch(seen, p->count * p->object_bytes);
            return code;
        }
        case 16: {
            const coppice_slot_pointer* const p = pointer();
            const int code = coppice_objects_to_write(any(), p, object_bytes(), object_bytes(), &at);
            if (code == COPPICE_OK) std::memset(at, 1, p->count * p->object_bytes);
            return code;
        }
        default:
            return in_.byte() % 2 ? coppice_new_slot_pointer(pointer(), out())
                                  : coppice_get_slot_pointer(any(), pointer());
        }
    }
    static void touch(const void* bytes, std::uint64_t size) {
        std::uint64_t sum = 0;
        for (std::uint64_t i = 0; i < size; ++i) sum += static_cast<const unsigned char*>(bytes)[i];
        expect(sum <= 255 * size);
    }

    coppice::tests::fuzz_input in_;
    std::array<coppice_handle, 14> all_{};  // node, actor, ref to it, space, slot in it, and what comes
    std::array<coppice_slot_pointer, 4> pointers_{};
    int calls_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    sequence{{data, size}}.run();
    return 0;
}
