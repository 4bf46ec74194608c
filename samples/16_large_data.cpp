// 16_large_data: frames of 1 MiB for another node, which reads them where they were written.
//
// A `blob` is bytes that nobody changes any more: copies of it share them, and so do nodes of two processes that have a
// shm link. Over any other transport the same program copies. Here both nodes are in one process; each has its own
// view of the memory all the same, as 12_two_processes would.
#include <stdlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <coppice/coppice.hpp>
#include <coppice/transport/builtin.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [blobs]
struct frame {
    std::uint32_t number = 0;
    blob pixels;
};

// The camera writes each frame once, into memory that it then only reads.
blob take_picture(std::uint32_t number) {
    blob_buffer room{std::size_t{1} << 20};
    std::fill(room.bytes().begin(), room.bytes().end(), static_cast<std::byte>(number));
    return std::move(room).freeze();
}
// [/blobs]

struct ready {
    using reply = std::uint32_t;
};
using screen_protocol = protocol<frame, ready>;

// Whether an address lies in memory that the camera's process lends: the system knows.
bool is_lent(const void* address) {
    std::ifstream maps{"/proc/self/maps"};
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    for (std::string line; std::getline(maps, line);) {
        const auto first = std::stoull(line, nullptr, 16);
        const auto last = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
        if (at >= first && at < last) return line.find("coppice-arena") != std::string::npos;
    }
    return false;
}

task<> screen(actor<screen_protocol> self) {
    std::uint32_t shown = 0;
    while (auto m = co_await self.receive())
        m.match(
            [&](const frame& f) {
                const bool right = std::all_of(f.pixels.begin(), f.pixels.end(), [&](std::byte b) {
                    return b == static_cast<std::byte>(f.number);
                });
                fmt::print("frame {}: {} bytes, {}, {}\n", f.number, f.pixels.size(),
                           right ? "as taken" : "damaged",
                           is_lent(f.pixels.data()) ? "not copied" : "copied");
                ++shown;
            },  // with the message goes its blob, and the camera's memory is free for the next frame
            [&](request<ready> r) { r.reply(shown); });
}

task<> camera(actor<protocol<>> self) {
    auto to = co_await self.resolve<screen_protocol>("/studio/screen");
    for (std::uint32_t n = 1; n <= 3; ++n) co_await self.send_wait<frame>(*to, n, take_picture(n));
    auto shown = co_await self.ask<ready>(*to, 60s);
    fmt::print("{} frames are on the screen\n", shown.value());
}

void play() {
    node_options o;
    o.log_terminal = false;
    o.network.listen = {"shm://studio"};
    node studio{"studio", o};
    supervisor_spec of_studio;
    of_studio.add(child("screen", in_coroutine, screen));
    studio.start(of_studio).value();

    node_options there;
    there.log_terminal = false;
    there.network.parent = "shm://studio";
    node roof{"roof", there};
    supervisor_spec of_roof;
    of_roof.add(child("camera", in_coroutine, camera).restarts(restart::temporary).significant());
    roof.start(of_roof).value();
    roof.wait();
}

int main() {
    std::string directory = (std::filesystem::temp_directory_path() / "coppice-studio-XXXXXX").string();
    if (!::mkdtemp(directory.data())) return EXIT_FAILURE;
    ::setenv("COPPICE_RUN_DIR", directory.c_str(), 1);  // where the studio's socket lies
    play();
    std::filesystem::remove_all(directory);
}
