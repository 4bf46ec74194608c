// The arguments of `coppice rights explain`, and what it prints; see rights.hpp. Main thread.
#include "rights.hpp"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "coppice/deployment.hpp"
#include "coppice/on_behalf.hpp"
#include "coppice/rights.hpp"
#include "exit_code.hpp"

namespace coppice::command {

namespace {

struct rights_question {
    std::string who;
    std::string what;
    std::string object;
} question;

rights_table rights_of(const std::string& file) {
    if (file.empty())
        throw command_failed{
            exit_code::usage,
            "rights explain: no deployment file: --file FILE, or the variable COPPICE_DEPLOYMENT"};
    auto read = read_deployment(file);
    if (!read) throw mistaken_file{std::string{read.error().text()}};
    if (!read->rights)
        throw command_failed{
            exit_code::not_found,
            file + " has no [[role]]: whoever may link there counts as of the tree, and may everything"};
    return *std::move(read->rights);
}

// By the name of a role, or by what somebody shows.
rights_table::role_number role_asked_for(const rights_table& table) {
    const auto at = std::ranges::find(table.roles, question.who, &rights_role::name);
    if (at != table.roles.end()) return static_cast<rights_table::role_number>(at - table.roles.begin() + 1);
    std::vector<std::string> shown;
    std::istringstream words{question.who};
    for (std::string one; std::getline(words, one, ',');) {
        if (auto fit = check_principal(one); !fit)
            throw command_failed{exit_code::usage, "rights explain: " + std::string{fit.error().text()} +
                                                       "; or the name of a role in the file"};
        shown.push_back(one);
    }
    const bool is_script = shown.size() == 1 && shown.front().starts_with("script:");
    return is_script ? role_on_behalf(table, shown.front()) : table.role_of(shown);
}

}  // namespace

void declare_rights(CLI::App& app, std::string& file) {
    app.require_subcommand(1);
    CLI::App* explain =
        app.add_subcommand("explain", "tell whether somebody may do something, and by which rule");
    explain
        ->add_option("WHO", question.who,
                     "what they show, with commas between: uid:1000,name:guest; script:watch; token:kiosk; "
                     "or the name of a role")
        ->required();
    explain->add_option("WHAT", question.what, "a right: send, ask, join, publish, ...")->required();
    explain->add_option("PATH", question.object, "of an actor; or the name of a group or slot")->required();
    explain->add_option("--file", file, "the deployment file")->envname("COPPICE_DEPLOYMENT");
}

int explain_rights(const std::string& file) {
    const rights_table table = rights_of(file);
    const auto what = right_of(question.what);
    if (!what)
        throw command_failed{exit_code::usage,
                             "rights explain: " +
                                 std::string{make_rule(question.what, "/", true, {}).error().text()}};
    const auto role = role_asked_for(table);
    const bool all = table.is_of_the_tree(role);
    const verdict v = table.decide(all ? rights_table::of_the_tree : role, *what, question.object);
    std::string why = all ? table.name_of(role) + " may all, as nodes of the tree may" : v.because;
    if (role == rights_table::of_the_tree) why = "no role names it, and scripts of the tree may everything";
    std::printf("%s: %s\n", v.allowed ? "allowed" : "denied", why.c_str());
    return static_cast<int>(v.allowed ? exit_code::ok : exit_code::refused);
}

}  // namespace coppice::command
