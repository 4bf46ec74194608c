// 21_space: a camera in a process of its own, and a ring of images in memory that it shares with the screen.
//
// The screen never copies an image: the camera's answer holds a slot_ptr, an offset that is valid in every process of the
// tree. When the camera is killed in the middle of an image, the screen does not get half of one, nor wait for ever: it is
// told who died with the slot, makes it whole, and goes on with the camera that the supervisor has started again.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include <coppice/actors/space.hpp>
#include <coppice/coppice.hpp>
#include <coppice/transport/builtin.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

constexpr std::uint64_t pixels_of_an_image = 640 * 480;
constexpr std::uint32_t images_of_the_ring = 2;

std::string slot_of(std::uint32_t number) { return fmt::format("image-{}", number % images_of_the_ring); }

// [camera]
struct picture {
    std::string slot;
    actors::slot_ptr<std::uint8_t> pixels;
    std::int32_t process = 0;
};
struct take {
    std::uint32_t number = 0;
    bool crash = false;
    using reply = picture;
};

task<> camera(actor<protocol<take>> self, std::string name) {
    const auto studio = actors::space::open(name).value();
    while (auto m = co_await self.receive()) {
        auto r = m.take<take>();
        if (!r) continue;
        const auto slot = studio.open_slot(slot_of(r->number)).value();
        auto page = (co_await slot.write(self, 5s)).value();  // alone in it, until page is gone
        page.clear();
        const auto pixels = page.allocate<std::uint8_t>(pixels_of_an_image).value();
        std::ranges::fill(page.all(pixels).value(), static_cast<std::uint8_t>(r->number));
        if (r->crash) ::kill(::getpid(), SIGKILL);
        page.release();
        r.reply(slot.name(), pixels, ::getpid());
    }
}
// [/camera]

// [show]
task<> show(actor<protocol<down>> self, actors::space studio, std::uint32_t number, picture p) {
    const auto slot = studio.open_slot(p.slot).value();
    const auto page = (co_await slot.read(self, 5s)).value();
    const auto pixels =
        page.all(p.pixels).value();  // an error if it does not lead into this slot as it is now
    fmt::print("image {}: {} pixels of brightness {} in {}, by {} process\n", number, pixels.size(),
               pixels[0], slot.name(), p.process == ::getpid() ? "this" : "another");
}
// [/show]

// [crash]
task<> lose_the_camera(actor<protocol<down>> self, actors::space studio, ref<protocol<take>> from,
                       std::uint32_t number) {
    self.monitor(from);
    const auto lost = co_await self.ask<take>(from, 5s, number, true);
    const auto end = co_await self.receive();  // from now on, mail for the camera waits for the next one
    fmt::print("image {}: {}\n", number, to_string(lost.error().code()));
    const auto slot = studio.open_slot(slot_of(number)).value();
    const auto page = co_await slot.read(self, 5s);
    fmt::print("{}: {}, damaged by {}\n", slot.name(), to_string(page.error().code()),
               slot.report().damaged_by.who);
    (co_await slot.reset(self, 5s)).value();
}
// [/crash]

// [screen]
task<> screen(actor<protocol<down>> self, std::string name) {
    const auto studio = actors::space::open(name).value();
    for (std::uint32_t n = 0; n < images_of_the_ring; ++n)
        (co_await studio.reserve(self, slot_of(n), pixels_of_an_image)).value();
    const auto from = (co_await self.resolve<protocol<take>>("camera")).value();
    for (std::uint32_t n = 1; n <= 5; ++n) {
        if (n == 4) {
            co_await lose_the_camera(self, studio, from, n);
            continue;
        }
        auto taken = co_await self.ask<take>(from, 30s, n);
        co_await show(self, studio, n, taken.value());
    }
    for (const auto& slot : studio.list())
        fmt::print("{}: {} of {} bytes, {}\n", slot.name, slot.used, slot.bytes,
                   slot.damaged ? "damaged" : "whole");
}
// [/screen]

// [tree]
int main(int argc, char** argv) {
    const std::string name = fmt::format("studio-{}", ::getpid());
    supervisor_spec tree;
    tree.add(child("space", in_coroutine, actors::space_keeper, name, actors::space_options{}).awaits_ready())
        .add(child("camera", in_process, camera, name))
        .add(child("screen", in_coroutine, screen, name).restarts(restart::temporary).significant());
    return node{"app", argc, argv}.run(tree);
}
// [/tree]
