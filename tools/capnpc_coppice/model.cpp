// Reads a request of Cap'n Proto's compiler into the model: which types a file has, in which order C++ needs them, and what the
// methods of its interfaces are. Knows nothing of the text that is generated.
#include "model.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include <fmt/format.h>

#include "types.hpp"

namespace coppice::capnpc {

namespace {

std::string plain(capnp::Text::Reader t) { return {t.begin(), t.size()}; }

std::string capital(std::string name) {
    if (!name.empty() && name[0] >= 'a' && name[0] <= 'z') name[0] = static_cast<char>(name[0] - 'a' + 'A');
    return name;
}
// MathService: math_service.
std::string lower(std::string_view name) {
    std::string out;
    for (std::size_t n = 0; n < name.size(); ++n) {
        const char c = name[n];
        const bool is_capital = c >= 'A' && c <= 'Z';
        const bool after_small = n > 0 && !(name[n - 1] >= 'A' && name[n - 1] <= 'Z');
        if (is_capital && after_small) out += '_';
        out += is_capital ? static_cast<char>(c - 'A' + 'a') : c;
    }
    // Within its own namespace the header could not name what is in these.
    return out == "std" || out == "coppice" ? out + "_" : cpp_name(out);
}

class reader {
public:
    reader(const nodes& all, cs::CodeGeneratorRequest::RequestedFile::Reader asked)
        : all_{all}, asked_{asked} {}

    file read() {
        out_.path = plain(asked_.getFilename());
        out_.space = all_.space_of(asked_.getId());
        collect(asked_.getId());
        for (const std::uint64_t id : interfaces_) out_.interfaces.push_back(read_interface(id));
        for (const std::uint64_t other : imported_) out_.uses.push_back(all_.path_of(other));
        std::sort(out_.uses.begin(), out_.uses.end());
        return std::move(out_);
    }

private:
    // The types of the file, those within others too, each behind what it uses.
    void collect(std::uint64_t scope) {
        const auto node = all_.at(scope, out_.path);
        if (node.isInterface()) interfaces_.push_back(scope);
        else if (node.isStruct() || node.isEnum()) add_type(scope);
        for (const auto nested : node.getNestedNodes()) collect(nested.getId());
        if (!node.isInterface()) return;
        // What a method's parameters hold within themselves cannot be: they have no body.
    }

    void add_type(std::uint64_t id) {
        if (done_.contains(id)) return;
        const std::string where = all_.place(id);
        if (!under_way_.insert(id).second)
            throw bad_description{where +
                                  ": holds itself, directly or by way of others, which has no wire form"};
        const auto node = all_.at(id, where);
        if (node.isEnum()) {
            enumeration e{take_name(id), all_.doc(id), {}, deprecated(node.getAnnotations())};
            const auto members = node.getEnum().getEnumerants();
            for (unsigned n = 0; n < members.size(); ++n)
                e.members.push_back({cpp_name(plain(members[n].getName())), all_.member_doc(id, n),
                                     deprecated(members[n].getAnnotations())});
            out_.types.emplace_back(std::move(e));
        } else {
            std::set<std::uint64_t> used;
            auto fields = all_.fields_of(node, where, asked_.getId(), used);
            need(used);
            out_.types.emplace_back(
                structure{take_name(id), all_.doc(id), std::move(fields), deprecated(node.getAnnotations())});
        }
        under_way_.erase(id);
        done_.insert(id);
    }

    void need(const std::set<std::uint64_t>& used) {
        for (const std::uint64_t id : used) {
            if (all_.file_of(id) == asked_.getId()) add_type(id);
            else imported_.insert(all_.file_of(id));
        }
    }

    std::string take_name(std::uint64_t id) {
        std::string name = all_.flat_name(id);
        if (!names_.insert(name).second)
            throw bad_description{all_.place(id) + ": its C++ name " + name +
                                  " is that of another type of the file; rename one"};
        return name;
    }

    interface read_interface(std::uint64_t id) {
        const std::string where = all_.place(id);
        const auto node = all_.at(id, where);
        if (node.getParameters().size() != 0 || node.getIsGeneric())
            throw bad_description{where + ": is generic; a service is not. Write it out for each type"};
        if (node.getInterface().getSuperclasses().size() != 0)
            throw bad_description{where + ": extends another interface; write its methods out"};
        interface made{all_.flat_name(id), lower(all_.flat_name(id)), all_.doc(id), {}};
        if (!spaces_.insert(made.space).second)
            throw bad_description{where + ": its C++ namespace " + made.space +
                                  " is that of another interface of the file; rename one"};
        std::set<std::string> messages;
        const auto methods = node.getInterface().getMethods();
        for (unsigned n = 0; n < methods.size(); ++n) {
            auto e = read_method(methods[n], where + "." + plain(methods[n].getName()));
            e.doc = all_.member_doc(id, n);
            for (const std::string& name : {e.message, e.own_results ? e.own_results->name : std::string{}})
                if (!name.empty() && !messages.insert(name).second)
                    throw bad_description{where + "." + plain(methods[n].getName()) + ": its message " +
                                          name + " is that of another method; rename one"};
            made.endpoints.push_back(std::move(e));
        }
        const auto notifications = static_cast<std::size_t>(
            std::ranges::count(made.endpoints, endpoint::kind::notification, &endpoint::what));
        if (std::max(notifications, made.endpoints.size() - notifications) > most_endpoints)
            throw bad_description{fmt::format("{}: has more than {} {}; divide it into several interfaces",
                                              where, most_endpoints,
                                              notifications > most_endpoints ? "notifications" : "requests")};
        return made;
    }

    endpoint read_method(cs::Method::Reader method, const std::string& where) {
        endpoint e;
        const std::string name = plain(method.getName());
        // A member function cannot have its class's name, nor that of a type which its class uses.
        e.name = cpp_name_beside_types(name);
        e.message = capital(name);
        e.deprecated = deprecated(method.getAnnotations());
        const bool notifies = annotated(method.getAnnotations(), notification_annotation);
        const bool one_way = annotated(method.getAnnotations(), one_way_annotation);
        if (notifies && one_way)
            throw bad_description{
                where +
                ": is $notification and $oneWay; a notification goes one way anyhow, from the service"};
        if (method.getImplicitParameters().size() != 0)
            throw bad_description{
                where + ": has type parameters, which has no C++ message type; write it out for each type"};
        e.what = notifies  ? endpoint::kind::notification
                 : one_way ? endpoint::kind::one_way
                           : endpoint::kind::request;

        std::set<std::uint64_t> used;
        const auto given = all_.at(method.getParamStructType(), where);
        e.parameters = all_.fields_of(given, where, from_within, used);
        const auto got = all_.at(method.getResultStructType(), where);
        const std::string at_results = where + " -> ";
        if (got.getId() == stream_result)
            throw bad_description{where + ": answers with a stream; send notifications in its place"};
        if (got.getScopeId() != 0) {  // a struct by its name
            used.insert(got.getId());
            e.reply = all_.type_name(got.getId(), from_within);
            e.shown_reply = all_.flat_name(got.getId());
            // As a reply it is checked as all that travels, wherever it was declared.
            static_cast<void>(
                all_.fields_of(got, at_results + all_.flat_name(got.getId()), from_within, used));
        } else if (got.getStruct().getFields().size() == 0) {
            e.reply = "void";
        } else {
            structure results{
                e.message + "Results", "", all_.fields_of(got, at_results, from_within, used), {}};
            e.reply = results.name;
            e.shown_reply = "";
            e.own_results = std::move(results);
        }
        if (e.what != endpoint::kind::request && e.reply != "void")
            throw bad_description{where + ": has results, but is " +
                                  (notifies ? "$notification" : "$oneWay") +
                                  ", which nobody answers; remove one of the two"};
        need(used);
        return e;
    }

    // A message may have the name of a type of the file, so messages call types by their whole names.
    static constexpr std::uint64_t from_within = 0;

    const nodes& all_;
    cs::CodeGeneratorRequest::RequestedFile::Reader asked_;
    file out_;
    std::vector<std::uint64_t> interfaces_;
    std::set<std::uint64_t> done_;
    std::set<std::uint64_t> under_way_;
    std::set<std::uint64_t> imported_;
    std::set<std::string> names_;
    std::set<std::string> spaces_;
};

// Two files of one namespace must not declare one name: a program that has both would not be one.
void check_names(const std::vector<file>& files) {
    std::map<std::string, std::string> homes;
    const auto declare = [&](const file& f, const std::string& name) {
        const auto [at, is_new] = homes.emplace(f.space + "::" + name, f.path);
        if (!is_new && at->second != f.path)
            throw bad_description{fmt::format(
                "{}: its C++ name {} is one of {}, too; give the files different namespaces, or rename one",
                f.path, at->first, at->second)};
    };
    for (const file& f : files) {
        for (const auto& type : f.types) std::visit([&](const auto& t) { declare(f, t.name); }, type);
        for (const interface& i : f.interfaces) {
            declare(f, i.space + "::server");
            for (const endpoint& e : i.endpoints) {
                declare(f, i.space + "::" + e.message);
                if (e.own_results) declare(f, i.space + "::" + e.own_results->name);
            }
        }
    }
}

// Files may import each other in Cap'n Proto; their headers cannot.
void check_circles(const std::vector<file>& files) {
    std::map<std::string, const file*> by_path;
    for (const file& f : files) by_path.emplace(f.path, &f);
    std::set<std::string> done;
    std::set<std::string> under_way;
    const std::function<void(const file&)> visit = [&](const file& f) {
        if (done.contains(f.path)) return;
        under_way.insert(f.path);
        for (const std::string& used : f.uses) {
            const auto other = by_path.find(used);
            if (other == by_path.end()) continue;
            if (under_way.contains(used))
                throw bad_description{
                    fmt::format("{}: uses types of {}, and {} uses types of {}, directly or by way of "
                                "others; move what both need into a file of its own",
                                f.path, used, used, f.path)};
            visit(*other->second);
        }
        under_way.erase(f.path);
        done.insert(f.path);
    };
    for (const file& f : files) visit(f);
}

}  // namespace

std::string with_ending(std::string_view path, std::string_view ending) {
    if (path.ends_with(".capnp")) path.remove_suffix(6);
    return std::string{path} + std::string{ending};
}

std::vector<file> read_files(cs::CodeGeneratorRequest::Reader request) {
    const nodes all{request};
    std::vector<file> files;
    for (const auto asked : request.getRequestedFiles()) files.push_back(reader{all, asked}.read());
    check_names(files);
    check_circles(files);
    return files;
}

}  // namespace coppice::capnpc
