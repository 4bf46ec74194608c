// The page of a description in Markdown: what a client can ask, what it is told, and the types of both.
#include <fmt/format.h>

#include "model.hpp"

namespace coppice::capnpc {

namespace {

// In a cell of a table: a line end or a bar would end it; what looks like HTML would be taken for it.
std::string cell(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '\n') out += ' ';
        else if (c == '|') out += "\\|";
        else if (c == '<') out += "&lt;";
        else out += c;
    }
    return out;
}

std::string with_deprecation(const std::string& doc, const std::optional<std::string>& deprecated) {
    if (!deprecated) return cell(doc);
    return "**Deprecated:** " + cell(*deprecated) + (doc.empty() ? "" : ". " + cell(doc));
}

// What the description says; without it, nothing, that is, what Cap'n Proto takes. In code nothing but bars ends a cell, and
// two marks hold one.
std::string initial(const field& f) {
    std::string out;
    for (const char c : f.shown_initial) out += c == '|' ? "\\|" : std::string{c};
    if (out.empty()) return out;
    return out.find('`') == std::string::npos ? "`" + out + "`" : "``" + out + "``";
}

void fields(std::string& out, const std::vector<field>& all) {
    out += "| field | type | default | |\n|---|---|---|---|\n";
    for (const field& f : all)
        out += fmt::format("| `{}` | `{}` | {} | {} |\n", f.name, f.shown, initial(f),
                           with_deprecation(f.doc, f.deprecated));
    out += "\n";
}

void paragraph(std::string& out, const std::string& doc, const std::optional<std::string>& deprecated) {
    if (deprecated) out += "**Deprecated:** " + cell(*deprecated) + "\n\n";
    if (!doc.empty()) out += doc + "\n\n";
}

std::string signature(const endpoint& e) {
    std::string text = e.name + " (";
    for (const field& f : e.parameters) text += (text.ends_with('(') ? "" : ", ") + f.name + " :" + f.shown;
    text += ")";
    if (e.what != endpoint::kind::request) return text;
    if (!e.own_results) return text + " -> " + (e.reply == "void" ? "()" : e.shown_reply);
    text += " -> (";
    for (const field& f : e.own_results->fields)
        text += (text.ends_with('(') ? "" : ", ") + f.name + " :" + f.shown;
    return text + ")";
}

void endpoints(std::string& out, const interface& i, bool notifications) {
    for (const endpoint& e : i.endpoints) {
        if ((e.what == endpoint::kind::notification) != notifications) continue;
        out += "#### " + e.name + "\n\n`" + signature(e) + "`\n\n";
        paragraph(out, e.doc, e.deprecated);
        if (e.what == endpoint::kind::one_way) out += "Sent, not answered.\n\n";
        const auto documented = [](const field& f) {
            return !f.doc.empty() || f.deprecated || !initial(f).empty();
        };
        bool any = false;
        for (const field& f : e.parameters) any = any || documented(f);
        if (any) fields(out, e.parameters);
    }
}

void type(std::string& out, const enumeration& e) {
    out += "### " + e.name + "\n\n";
    paragraph(out, e.doc, e.deprecated);
    out += "| value | number | |\n|---|---|---|\n";
    for (std::size_t n = 0; n < e.members.size(); ++n)
        out += fmt::format("| `{}` | {} | {} |\n", e.members[n].name, n,
                           with_deprecation(e.members[n].doc, e.members[n].deprecated));
    out += "\n";
}
void type(std::string& out, const structure& s) {
    out += "### " + s.name + "\n\n";
    paragraph(out, s.doc, s.deprecated);
    fields(out, s.fields);
}

}  // namespace

std::string page_of(const file& f) {
    std::string out = "<!-- Made by capnpc-coppice from " + f.path + "; changes are lost. -->\n";
    out += "# " + f.path + "\n\nC++: `#include \"" + with_ending(f.path, ".coppice.hpp") +
           "\"`, namespace `" + f.space + "`.\n\n";
    for (const interface& i : f.interfaces) {
        out += "## " + i.name + "\n\nC++: namespace `" + f.space + "::" + i.space + "`.\n\n";
        paragraph(out, i.doc, std::nullopt);
        out += "### Requests\n\n";
        endpoints(out, i, false);
        bool notifies = false;
        for (const endpoint& e : i.endpoints) notifies = notifies || e.what == endpoint::kind::notification;
        if (notifies) {
            out += "### Notifications\n\nThe service sends them to its clients.\n\n";
            endpoints(out, i, true);
        }
    }
    if (!f.types.empty()) out += "## Types\n\n";
    for (const auto& one : f.types) std::visit([&](const auto& t) { type(out, t); }, one);
    while (out.ends_with("\n\n")) out.pop_back();
    return out;
}

}  // namespace coppice::capnpc
