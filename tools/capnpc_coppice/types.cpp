// What a description's types are in C++, and what has no place there: refused with the file and the field. The rules are those
// of the wire form of messages (coppice/wire.hpp).
#include "types.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace coppice::capnpc {

namespace {

constexpr std::string_view keywords[] = {
    "alignas",   "alignof",   "and",       "asm",      "auto",     "bitand",   "bitor",   "bool",
    "break",     "case",      "catch",     "char",     "class",    "compl",    "concept", "const",
    "consteval", "constexpr", "constinit", "continue", "decltype", "default",  "delete",  "do",
    "double",    "else",      "enum",      "explicit", "export",   "extern",   "false",   "float",
    "for",       "friend",    "goto",      "if",       "inline",   "int",      "long",    "mutable",
    "namespace", "new",       "noexcept",  "not",      "nullptr",  "operator", "or",      "private",
    "protected", "public",    "register",  "requires", "return",   "short",    "signed",  "sizeof",
    "static",    "struct",    "switch",    "template", "this",     "throw",    "true",    "try",
    "typedef",   "typeid",    "typename",  "union",    "unsigned", "using",    "virtual", "void",
    "volatile",  "while",     "xor",
    "reply",  // what a message calls the type of its answer
};

// Macros of C's headers, and words that GNU's C++ has beyond the standard's.
constexpr std::string_view other_words[] = {"alloca",   "assert", "errno",  "linux",
                                            "offsetof", "setjmp", "typeof", "unix"};

// Functions of C, which are in the way of a namespace of all: those that a file may well be named after.
constexpr std::string_view functions_of_c[] = {
    "abort",  "abs",     "accept",   "access", "alarm",    "bind",   "brk",    "ceil",   "clock",
    "close",  "connect", "daemon",   "div",    "dup",      "exit",   "exp",    "floor",  "fork",
    "free",   "gamma",   "getenv",   "index",  "kill",     "link",   "listen", "log",    "mount",
    "nice",   "open",    "pause",    "pipe",   "poll",     "pow",    "printf", "profil", "puts",
    "raise",  "rand",    "random",   "read",   "recv",     "remove", "rename", "round",  "scanf",
    "select", "send",    "shutdown", "signal", "sleep",    "socket", "splice", "stat",   "sync",
    "system", "tee",     "time",     "times",  "truncate", "umount", "unlink", "wait",   "write"};

std::string text_of(capnp::Text::Reader t) { return {t.begin(), t.size()}; }

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
}

template <class T>
std::string whole_number(T n) {
    // The smallest number has no literal: its digits alone are too large.
    if (n == std::numeric_limits<T>::min() && n != 0) return fmt::format("{} - 1", n + 1);
    return fmt::format("{}{}", n, std::is_signed_v<T> ? "" : "u");
}
template <class T>
std::string real_number(T x) {
    const std::string type = sizeof(T) == 4 ? "float" : "double";
    if (std::isnan(x)) return "std::numeric_limits<" + type + ">::quiet_NaN()";
    if (std::isinf(x)) return (x < 0 ? "-" : "") + ("std::numeric_limits<" + type + ">::infinity()");
    std::string digits = fmt::format("{}", x);
    if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
    return digits + (sizeof(T) == 4 ? "f" : "");
}
// As a description would have it.
std::string text_in_schema(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') out += {'\\', c};
        else if (c == '\n') out += "\\n";
        else if (byte < 0x20 || byte == 0x7f) out += fmt::format("\\x{:02x}", byte);
        else out += c;
    }
    return out + "\"";
}

}  // namespace

std::string cpp_name(std::string_view name) {
    const auto is_name = [&](std::string_view word) { return word == name; };
    const bool is_taken = std::ranges::any_of(keywords, is_name) || std::ranges::any_of(other_words, is_name);
    return std::string{name} + (is_taken ? "_" : "");
}

std::string cpp_name_beside_types(std::string_view name) {
    const bool is_taken =
        name == "client" || name == "server" || name == "requests" || name == "notifications";
    return is_taken ? std::string{name} + "_" : cpp_name(name);
}

std::string attribute_literal(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\' || c == '?') out += {'\\', c};
        else out += byte < 0x20 || byte == 0x7f ? ' ' : c;
    }
    return out + "\"";
}

std::string literal(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') out += {'\\', c};
        else if (c == '?') out += "\\?";
        else if (byte < 0x20 || byte >= 0x7f) out += fmt::format("\\{:03o}", byte);
        else out += c;
    }
    return out + "\"";
}

bool annotated(capnp::List<cs::Annotation>::Reader annotations, std::uint64_t id) {
    for (const auto a : annotations)
        if (a.getId() == id) return true;
    return false;
}

std::optional<std::string> deprecated(capnp::List<cs::Annotation>::Reader annotations) {
    for (const auto a : annotations)
        if (a.getId() == deprecated_annotation) return text_of(a.getValue().getText());
    return std::nullopt;
}

nodes::nodes(cs::CodeGeneratorRequest::Reader request) {
    for (const auto node : request.getNodes()) nodes_.emplace(node.getId(), node);
    for (const auto source : request.getSourceInfo()) sources_.emplace(source.getId(), source);
}

cs::Node::Reader nodes::at(std::uint64_t id, const std::string& where) const {
    const auto found = nodes_.find(id);
    if (found == nodes_.end())
        throw bad_description{
            fmt::format("{}: the compiler's request does not hold the type {:#x}", where, id)};
    return found->second;
}

std::uint64_t nodes::file_of(std::uint64_t id) const {
    // A scope is outside of what it holds; a request in which it is not must not go round for ever.
    for (std::size_t steps = 0; steps <= nodes_.size(); ++steps) {
        const auto node = at(id, "the scopes");
        if (node.isFile()) return id;
        id = node.getScopeId();
    }
    throw bad_description{"a type stands within itself in the compiler's request"};
}

std::string nodes::space_of(std::uint64_t file) const {
    const auto node = at(file, "a file");
    const std::string path = text_of(node.getDisplayName());
    std::string space;
    for (const auto a : node.getAnnotations())
        if (a.getId() == namespace_annotation) space = text_of(a.getValue().getText());
    const bool named = !space.empty();
    if (!named) {
        const auto slash = path.rfind('/');
        space = path.substr(slash == std::string::npos ? 0 : slash + 1);
        space = space.substr(0, space.find('.'));
    }
    // Names and "::" between them, nothing else: it stands in code.
    std::string_view rest = space;
    bool good = !rest.empty();
    while (good && !rest.empty()) {
        const auto end = rest.find("::");
        const std::string_view part = rest.substr(0, end);
        good = !part.empty() && cpp_name(part) == part && part != "std" && part != "coppice" &&
               part[0] != '_' && part.find("__") == std::string_view::npos &&
               !(part[0] >= '0' && part[0] <= '9') &&
               part.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
                   std::string_view::npos;
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 2);
        good = good && !rest.empty();
    }
    if (!good)
        throw bad_description{
            fmt::format("{}: {} {} is no C++ namespace; write $Coppice.namespace(\"name\") in the file", path,
                        named ? "its namespace" : "its name", literal(space))};
    for (const std::string_view function : functions_of_c)
        if (space == function || space.starts_with(std::string{function} + "::"))
            throw bad_description{fmt::format("{}: {} {} begins with the name of a function of C; write "
                                              "$Coppice.namespace(\"name\") in the file",
                                              path, named ? "its namespace" : "its name", literal(space))};
    return space;
}

std::string nodes::path_of(std::uint64_t file) const { return text_of(at(file, "a file").getDisplayName()); }

std::string nodes::flat_name(std::uint64_t id) const {
    const auto node = at(id, "a type");
    if (node.isFile()) return {};
    const std::string shown = text_of(node.getDisplayName());
    if (node.getDisplayNamePrefixLength() > shown.size())
        throw bad_description{"a name in the compiler's request is shorter than its prefix"};
    static_cast<void>(file_of(id));  // so that the scopes end
    return flat_name(node.getScopeId()) + shown.substr(node.getDisplayNamePrefixLength());
}

std::string nodes::place(std::uint64_t id) const {
    std::string shown = text_of(at(id, "a type").getDisplayName());
    if (const auto colon = shown.rfind(':'); colon != std::string::npos) shown.insert(colon + 1, " ");
    return shown;
}

std::string nodes::doc(std::uint64_t id) const {
    const auto found = sources_.find(id);
    return found == sources_.end() ? std::string{} : trimmed(text_of(found->second.getDocComment()));
}

std::string nodes::member_doc(std::uint64_t id, unsigned index) const {
    const auto found = sources_.find(id);
    if (found == sources_.end() || index >= found->second.getMembers().size()) return {};
    return trimmed(text_of(found->second.getMembers()[index].getDocComment()));
}

std::string nodes::type_name(std::uint64_t id, std::uint64_t in_file) const {
    const std::uint64_t home = file_of(id);
    return (home == in_file ? "" : "::" + space_of(home) + "::") + flat_name(id);
}

nodes::known_type nodes::type_of(cs::Type::Reader type, const std::string& where, std::uint64_t in_file,
                                 std::set<std::uint64_t>& used) const {
    const auto number = [](const char* cpp, const char* shown) { return known_type{cpp, shown, " = 0"}; };
    const auto refuse = [&](std::string_view what, std::string_view instead) -> known_type {
        throw bad_description{fmt::format("{}: {} has no C++ message type; {}", where, what, instead)};
    };
    const auto check_brand = [&](cs::Brand::Reader brand) {
        if (brand.getScopes().size() != 0)
            refuse("a generic type", "write the struct out for each type that it is used with");
    };
    switch (type.which()) {
    case cs::Type::VOID: return {"std::monostate", "Void", ""};
    case cs::Type::BOOL: return {"bool", "Bool", " = false"};
    case cs::Type::INT8: return number("std::int8_t", "Int8");
    case cs::Type::INT16: return number("std::int16_t", "Int16");
    case cs::Type::INT32: return number("std::int32_t", "Int32");
    case cs::Type::INT64: return number("std::int64_t", "Int64");
    case cs::Type::UINT8: return number("std::uint8_t", "UInt8");
    case cs::Type::UINT16: return number("std::uint16_t", "UInt16");
    case cs::Type::UINT32: return number("std::uint32_t", "UInt32");
    case cs::Type::UINT64: return number("std::uint64_t", "UInt64");
    case cs::Type::FLOAT32: return number("float", "Float32");
    case cs::Type::FLOAT64: return number("double", "Float64");
    case cs::Type::TEXT: return {"std::string", "Text", ""};
    case cs::Type::DATA: return {"std::vector<std::byte>", "Data", ""};
    case cs::Type::LIST: {
        const known_type of = type_of(type.getList().getElementType(), where, in_file, used);
        return {"std::vector<" + of.cpp + ">", "List(" + of.shown + ")", ""};
    }
    case cs::Type::ENUM:
        check_brand(type.getEnum().getBrand());
        used.insert(type.getEnum().getTypeId());
        return {type_name(type.getEnum().getTypeId(), in_file), flat_name(type.getEnum().getTypeId()),
                " = {}"};
    case cs::Type::STRUCT:
        check_brand(type.getStruct().getBrand());
        used.insert(type.getStruct().getTypeId());
        return {type_name(type.getStruct().getTypeId(), in_file), flat_name(type.getStruct().getTypeId()),
                ""};
    case cs::Type::INTERFACE: return refuse("an interface as a value", "pass the path of an actor as Text");
    case cs::Type::ANY_POINTER: {
        using any = cs::Type::AnyPointer::Unconstrained;
        const auto which = type.getAnyPointer().isUnconstrained()
                               ? type.getAnyPointer().getUnconstrained().which()
                               : any::ANY_KIND;
        if (which == any::CAPABILITY) return refuse("Capability", "pass the path of an actor as Text");
        return refuse(which == any::STRUCT ? "AnyStruct"
                      : which == any::LIST ? "AnyList"
                                           : "AnyPointer",
                      "write the type, or pass Data");
    }
    }
    return refuse("a type that this program does not know", "it is newer than this release of Coppice");
}

void nodes::set_default(field& f, cs::Field::Slot::Reader slot, const std::string& where) const {
    const auto set = [&](const std::string& cpp, const std::string& shown) {
        f.initial = " = " + cpp;
        f.shown_initial = shown;
    };
    const auto whole = [&](auto n) { set(whole_number(n), fmt::format("{}", n)); };
    const auto real = [&](auto x) { set(real_number(x), fmt::format("{}", x)); };
    const auto value = slot.getDefaultValue();
    switch (value.which()) {
    case cs::Value::VOID: return;
    case cs::Value::BOOL: return set(value.getBool() ? "true" : "false", value.getBool() ? "true" : "false");
    case cs::Value::INT8: return whole(std::int32_t{value.getInt8()});
    case cs::Value::INT16: return whole(std::int32_t{value.getInt16()});
    case cs::Value::INT32: return whole(value.getInt32());
    case cs::Value::INT64: return whole(value.getInt64());
    case cs::Value::UINT8: return whole(std::uint32_t{value.getUint8()});
    case cs::Value::UINT16: return whole(std::uint32_t{value.getUint16()});
    case cs::Value::UINT32: return whole(value.getUint32());
    case cs::Value::UINT64: return whole(value.getUint64());
    case cs::Value::FLOAT32: return real(value.getFloat32());
    case cs::Value::FLOAT64: return real(value.getFloat64());
    case cs::Value::TEXT: {
        const std::string text = text_of(value.getText());
        // A literal alone would end at its first zero.
        const bool has_zero = text.find('\0') != std::string::npos;
        return set(has_zero ? fmt::format("std::string({}, {})", literal(text), text.size()) : literal(text),
                   text_in_schema(text));
    }
    case cs::Value::ENUM: {
        const auto members = at(slot.getType().getEnum().getTypeId(), where).getEnum().getEnumerants();
        if (value.getEnum() >= members.size())
            throw bad_description{where + ": its default is a number that its enum does not have"};
        const std::string name = cpp_name(text_of(members[value.getEnum()].getName()));
        return set(f.type + "::" + name, name);
    }
    default:
        throw bad_description{
            where + ": a default of its own is for numbers, Bool, enums and Text only; leave it out"};
    }
}

std::vector<field> nodes::fields_of(cs::Node::Reader node, const std::string& where, std::uint64_t in_file,
                                    std::set<std::uint64_t>& used) const {
    if (!node.isStruct()) throw bad_description{where + ": is no struct"};
    if (node.getParameters().size() != 0 || node.getIsGeneric())
        throw bad_description{where +
                              ": is generic, which has no C++ message type; write it out for each type"};
    const auto shape = node.getStruct();
    if (shape.getDiscriminantCount() != 0)
        throw bad_description{
            where + ": has a union, which has no C++ message type; take a field for each of its members"};
    if (shape.getFields().size() > most_fields)
        throw bad_description{fmt::format(
            "{}: has more than {} fields; put some of them into a struct of their own", where, most_fields)};
    std::vector<field> all;
    for (unsigned n = 0; n < shape.getFields().size(); ++n) {
        const auto f = shape.getFields()[n];
        const std::string name = text_of(f.getName());
        const std::string at_field = where + "." + name;
        if (!f.isSlot()) {
            const bool is_union =
                at(f.getGroup().getTypeId(), at_field).getStruct().getDiscriminantCount() != 0;
            throw bad_description{
                at_field +
                (is_union
                     ? ": is a union, which has no C++ message type; take a field for each of its members"
                     : ": is a group, which has no C++ message type; make it a struct")};
        }
        const known_type type = type_of(f.getSlot().getType(), at_field, in_file, used);
        field made{cpp_name(name),
                   type.cpp,
                   type.initial,
                   "",
                   type.shown,
                   member_doc(node.getId(), n),
                   deprecated(f.getAnnotations())};
        if (f.getSlot().getHadExplicitDefault()) set_default(made, f.getSlot(), at_field);
        all.push_back(std::move(made));
    }
    return all;
}

}  // namespace coppice::capnpc
