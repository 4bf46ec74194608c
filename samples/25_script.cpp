// 25_script: rules in Lua, as an actor of the tree.
//
// What changes more often than the program stands in a script. It has its place in the tree like any other actor: it is asked, it
// fails alone, and its supervisor starts it again, with the file as it is then. A loop without end ends it, and nothing else.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

#include <coppice/actors/script.hpp>
#include <coppice/any_request.hpp>
#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [rules]
constexpr const char* first_rules = R"lua(
local limit = tonumber(...)
for mail in coppice.mails() do
    local sensor, celsius = mail.value[1], mail.value[2]
    if type(celsius) ~= "number" then error("no number from " .. sensor) end
    mail:reply(celsius > limit and "alarm" or "fine")
end
)lua";
// [/rules]

constexpr const char* later_rules = R"lua(
for mail in coppice.mails() do
    local sensor = mail.value[1]
    if sensor == "boiler" then while true do end end  -- a mistake
    mail:reply("by new rules: all is well with " .. sensor)
end
)lua";

void write(const std::string& file, const char* rules) { std::ofstream{file, std::ios::trunc} << rules; }

// [operator]
task<> operator_of(actor<anything> self, std::string file) {
    auto rules = (co_await self.resolve<anything>("rules")).value();
    const auto reading = [](const char* sensor, value celsius) {
        return value{value::record{{value{sensor}, std::move(celsius)}}};
    };
    auto told = co_await self.ask<any_request>(rules, 5s, reading("oven", 180));
    fmt::print("oven: {}\n", told ? to_string(*told) : told.error().what());
    told = co_await self.ask<any_request>(rules, 5s, reading("boiler", 240));
    fmt::print("boiler: {}\n", told ? to_string(*told) : told.error().what());

    write(file, later_rules);  // is read when the actor starts again
    told = co_await self.ask<any_request>(rules, 5s, reading("cellar", "wet"));
    fmt::print("cellar: {}\n", told ? to_string(*told) : told.error().what());
    told = co_await self.ask<any_request>(rules, 5s, reading("cellar", "wet"));
    fmt::print("cellar: {}\n", told ? to_string(*told) : told.error().what());

    told = co_await self.ask<any_request>(rules, 5s, reading("boiler", 240));  // ends by its limit
    fmt::print("boiler: {}\n", told ? to_string(*told) : told.error().what());
    told = co_await self.ask<any_request>(rules, 5s, reading("oven", 180));
    fmt::print("oven: {}\n", told ? to_string(*told) : told.error().what());
}
// [/operator]

// [tree]
int main(int argc, char** argv) {
    const std::string file =
        std::filesystem::temp_directory_path() / fmt::format("coppice-rules-{}.lua", ::getpid());
    write(file, first_rules);
    node_options quiet;
    quiet.level = level::off;  // the two crashes are told to whoever asks
    supervisor_spec tree;
    tree.intensity(5, 10s)
        .add(child("rules", in_coroutine, actors::script,
                   actors::script_options{.file = file, .arguments = {"200"}, .instructions = 100'000}))
        .add(child("operator", in_coroutine, operator_of, file).restarts(restart::temporary).significant());
    const int code = node{"plant", argc, argv, quiet}.run(tree);
    std::filesystem::remove(file);
    return code;
}
// [/tree]
