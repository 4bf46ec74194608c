// Nodes of a request by id, and their names, types and comments in C++. Read only; one thread.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model.hpp"

namespace coppice::capnpc {

namespace cs = capnp::schema;

class nodes {
public:
    explicit nodes(cs::CodeGeneratorRequest::Reader request);

    [[nodiscard]] cs::Node::Reader at(std::uint64_t id, const std::string& where) const;
    [[nodiscard]] std::uint64_t file_of(std::uint64_t id) const;
    /// Of a file, from where names begin, however it was imported: "shapes/plane.capnp".
    [[nodiscard]] std::string path_of(std::uint64_t file) const;
    /// The namespace of what is generated from that file.
    [[nodiscard]] std::string space_of(std::uint64_t file) const;
    /// Of a type within its file: those around it and its own, without dots.
    [[nodiscard]] std::string flat_name(std::uint64_t id) const;
    /// For messages to people: "math.capnp: Math.sum".
    [[nodiscard]] std::string place(std::uint64_t id) const;
    [[nodiscard]] std::string doc(std::uint64_t id) const;
    [[nodiscard]] std::string member_doc(std::uint64_t id, unsigned index) const;

    /// The fields of a struct in the order of their numbers. `where` is how errors call it. Types that they use are added to `used`.
    [[nodiscard]] std::vector<field> fields_of(cs::Node::Reader node, const std::string& where,
                                               std::uint64_t in_file, std::set<std::uint64_t>& used) const;
    /// A struct or enum, as C++ written in a file calls it.
    [[nodiscard]] std::string type_name(std::uint64_t id, std::uint64_t in_file) const;

private:
    struct known_type {
        std::string cpp;
        std::string shown;
        std::string initial;
    };
    known_type type_of(cs::Type::Reader type, const std::string& where, std::uint64_t in_file,
                       std::set<std::uint64_t>& used) const;
    /// Into `initial` and `shown_initial`.
    void set_default(field& f, cs::Field::Slot::Reader slot, const std::string& where) const;

    std::map<std::uint64_t, cs::Node::Reader> nodes_;
    std::map<std::uint64_t, cs::Node::SourceInfo::Reader> sources_;
};

/// A name that C++ does not have for itself: "default" becomes "default_". Descriptions have no '_' in names.
[[nodiscard]] std::string cpp_name(std::string_view name);
/// The same where the types of the generated code are in scope too: "server" becomes "server_".
[[nodiscard]] std::string cpp_name_beside_types(std::string_view name);
/// "text" as a C++ literal, whatever it holds.
[[nodiscard]] std::string literal(std::string_view text);
/// The same for an attribute, in which C++ has no numbered escapes: line ends and the like are blanks.
[[nodiscard]] std::string attribute_literal(std::string_view text);
/// The text of a $deprecated annotation.
[[nodiscard]] std::optional<std::string> deprecated(capnp::List<cs::Annotation>::Reader annotations);
[[nodiscard]] bool annotated(capnp::List<cs::Annotation>::Reader annotations, std::uint64_t id);

// Of schemas/coppice/service.capnp.
inline constexpr std::uint64_t namespace_annotation = 0xe95967369b90cb79;
inline constexpr std::uint64_t notification_annotation = 0xab6182410aee82c6;
inline constexpr std::uint64_t one_way_annotation = 0xbe726f274b251da8;
inline constexpr std::uint64_t deprecated_annotation = 0xb5fde3d915a53721;
// What `-> stream` answers, of Cap'n Proto's stream.capnp.
inline constexpr std::uint64_t stream_result = 0x995f9a3377c0b16e;

}  // namespace coppice::capnpc
