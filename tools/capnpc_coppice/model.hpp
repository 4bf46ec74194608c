// A description of services as the generators need it: every name and type already in C++, everything checked. Plain values,
// made by read_files() from what Cap'n Proto's compiler says; one thread.
#pragma once
#include "coppice/detail/capnp_compat.hpp"

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <capnp/schema.capnp.h>

namespace coppice::capnpc {

/// What a description may not hold, told with its file and name: the program prints it and ends with 1.
class bad_description : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Fields of one aggregate: more have no wire form (coppice/wire.hpp).
inline constexpr std::size_t most_fields = 64;
/// Requests of an interface, and notifications. A protocol's messages are one expression, of which clang takes 256 parts; each
/// notification is two messages of its service.
inline constexpr std::size_t most_endpoints = 100;

struct field {
    std::string name;           // in C++
    std::string type;           // in C++
    std::string initial;        // " = 0", or empty
    std::string shown_initial;  // the default that the description gives, or empty
    std::string shown;          // the type as the description has it
    std::string doc;
    std::optional<std::string> deprecated;
};
struct structure {
    std::string name;
    std::string doc;
    std::vector<field> fields;
    std::optional<std::string> deprecated;
};
struct enumerator {
    std::string name;
    std::string doc;
    std::optional<std::string> deprecated;
};
struct enumeration {
    std::string name;
    std::string doc;
    std::vector<enumerator> members;
    std::optional<std::string> deprecated;
};
struct endpoint {
    enum class kind { request, one_way, notification };
    kind what = kind::request;
    std::string name;     // of the member functions
    std::string message;  // of the struct that travels
    std::string doc;
    std::vector<field> parameters;
    std::string reply;                     // a type; "void"
    std::optional<structure> own_results;  // of a reply that has no name in the description
    std::string shown_reply;
    std::optional<std::string> deprecated;
};
struct interface {
    std::string name;
    std::string space;  // the namespace within the file's
    std::string doc;
    std::vector<endpoint> endpoints;
};
struct file {
    std::string path;  // as the compiler was given it: "math.capnp"
    std::string space;
    std::vector<std::string> uses;                            // paths of other files whose types it has
    std::vector<std::variant<enumeration, structure>> types;  // each behind those that it uses
    std::vector<interface> interfaces;
};

/// All files that were asked for. Throws bad_description; kj::Exception if the request itself is damaged.
[[nodiscard]] std::vector<file> read_files(capnp::schema::CodeGeneratorRequest::Reader request);

/// The C++ header, and the page in Markdown.
[[nodiscard]] std::string header_of(const file& f);
[[nodiscard]] std::string page_of(const file& f);

/// "dir/math.capnp" with another ending: "dir/math.coppice.hpp".
[[nodiscard]] std::string with_ending(std::string_view path, std::string_view ending);

}  // namespace coppice::capnpc
