// The C++ header of a description: its types, and for each interface its messages, a server skeleton and a client. Names with
// a '_' are the header's own: descriptions cannot have any, so that none of theirs is taken.
#include <fmt/format.h>

#include "model.hpp"
#include "types.hpp"

namespace coppice::capnpc {

namespace {

class writer {
public:
    template <class... Args>
    void line(fmt::format_string<Args...> format, Args&&... args) {
        const std::string text = fmt::format(format, std::forward<Args>(args)...);
        out_ += text.empty() ? "\n" : std::string(depth_ * 4, ' ') + text + "\n";
    }
    void comment(std::string_view text) {
        while (!text.empty()) {
            const auto end = text.find('\n');
            std::string one{text.substr(0, end)};
            // A carriage return would end the comment, and blanks behind a backslash do not keep it from going on.
            for (char& c : one)
                if (static_cast<unsigned char>(c) < 0x20) c = ' ';
            while (!one.empty() && one.back() == ' ') one.pop_back();
            // It would continue the comment over the next line; so would, once, the trigraph of a backslash.
            if (one.ends_with('\\') || one.ends_with("?\?/")) one += '.';
            line("///{}{}", one.empty() ? "" : " ", one);
            if (end == std::string_view::npos) break;
            text.remove_prefix(end + 1);
        }
    }
    void comment(const std::string& text, const std::optional<std::string>& deprecated) {
        comment(text);
        if (deprecated) comment("Deprecated: " + *deprecated);
    }
    void in() { ++depth_; }
    void out() { --depth_; }
    [[nodiscard]] std::string take() { return std::move(out_); }

private:
    std::string out_;
    std::size_t depth_ = 0;
};

void write_struct(writer& w, const std::string& name, const std::vector<field>& fields,
                  const std::string& reply) {
    if (fields.empty() && reply.empty()) return w.line("struct {} {{}};", name);
    w.line("struct {} {{", name);
    w.in();
    for (const field& f : fields) {
        w.comment(f.doc, f.deprecated);
        w.line("{} {}{};", f.type, f.name, f.initial);
    }
    if (!reply.empty()) w.line("using reply = {};", reply);
    w.out();
    w.line("}};");
}

// What a type is without its initialiser is its wire form's affair: told where it was declared, not where it is sent.
void check_wire_form(writer& w, const std::string& name) {
    w.line("static_assert(coppice::has_wire_form<{}>);", name);
}
// Structs hold others by value, so that a message of many is too large at last.
void check_message(writer& w, const std::string& name) {
    w.line("static_assert(coppice::message<{}> && coppice::has_wire_form<{}>);", name, name);
}

void write_type(writer& w, const enumeration& e) {
    w.comment(e.doc, e.deprecated);
    w.line("enum class {} : std::uint16_t {{", e.name);
    w.in();
    for (std::size_t n = 0; n < e.members.size(); ++n) {
        w.comment(e.members[n].doc, e.members[n].deprecated);
        w.line("{} = {},", e.members[n].name, n);
    }
    w.out();
    w.line("}};");
}
void write_type(writer& w, const structure& s) {
    w.comment(s.doc, s.deprecated);
    write_struct(w, s.name, s.fields, "");
    check_wire_form(w, s.name);
}

std::string names_of(const interface& i, bool notifications) {
    std::string names;
    for (const endpoint& e : i.endpoints)
        if ((e.what == endpoint::kind::notification) == notifications)
            names += (names.empty() ? "" : ", ") + e.message;
    return names;
}

void write_messages(writer& w, const interface& i) {
    for (const endpoint& e : i.endpoints) {
        if (e.own_results) {
            w.comment("What `" + e.name + "` answers.");
            write_struct(w, e.own_results->name, e.own_results->fields, "");
            check_message(w, e.own_results->name);
        }
        w.comment(e.doc, e.deprecated);
        write_struct(w, e.message, e.parameters, e.what == endpoint::kind::request ? e.reply : "");
        check_message(w, e.message);
        w.line("");
    }
    w.line("using requests = coppice::protocol<{}>;", names_of(i, false));
    w.line("using notifications = coppice::protocol<{}>;", names_of(i, true));
    w.comment("Of a ref to the service; and of the actor that is the service.");
    w.line("using service_protocol = coppice::actors::service_protocol<requests, notifications>;");
    w.line("using service_actor = coppice::actors::service_actor<requests, notifications>;");
    w.line("");
}

void write_notifying(writer& w, const endpoint& e) {
    w.line("[[nodiscard]] coppice::task<std::vector<coppice::actors::notified>> {}({} what_) {{", e.name,
           e.message);
    w.line("    return clients_.notify_all(std::move(what_));");
    w.line("}}");
    w.line("[[nodiscard]] coppice::task<std::vector<coppice::actors::notified>> "
           "{}(std::vector<std::uint32_t> to_, {} what_) {{",
           e.name, e.message);
    w.line("    return clients_.notify(std::move(to_), std::move(what_));");
    w.line("}}");
}

void write_server(writer& w, const interface& i) {
    w.comment("Derive from it: one function for each endpoint. An actor makes an object of it and awaits "
              "serve_clients().");
    w.line("class server {{");
    w.line("public:");
    w.in();
    w.line("explicit server(service_actor self, coppice::actors::service_options options = {{}})");
    w.line("    : self_{{self}}, clients_{{self, options}} {{}}");
    w.line("virtual ~server() = default;");
    w.line("server(const server&) = delete;");
    w.line("server& operator=(const server&) = delete;");
    w.line("");
    w.comment("Handles one request after the other, of each client in turn, until the actor is to stop.");
    w.line("[[nodiscard]] coppice::task<> serve_clients() {{");
    w.in();
    w.line("while (auto turn_ = co_await clients_.next()) {{");
    w.in();
    w.line("current_ = turn_.client();");
    std::string otherwise;
    unsigned n = 0;
    for (const endpoint& e : i.endpoints) {
        if (e.what == endpoint::kind::notification) continue;
        ++n;
        if (e.what == endpoint::kind::request) {
            w.line("{}if (auto r{}_ = turn_.template take<{}>()) co_await {}(std::move(r{}_));", otherwise, n,
                   e.message, e.name, n);
        } else {
            w.line("{}if (auto* m{}_ = turn_.template get_if<{}>()) co_await {}(std::move(*m{}_));",
                   otherwise, n, e.message, e.name, n);
        }
        otherwise = "else ";
    }
    w.line("{}coppice::actors::refuse(std::move(turn_));", otherwise);
    w.out();
    w.line("}}");
    w.out();
    w.line("}}");
    w.line("");
    w.out();
    w.line("protected:");
    w.in();
    for (const endpoint& e : i.endpoints) {
        if (e.what == endpoint::kind::notification) continue;
        w.comment(e.doc, e.deprecated);
        const std::string of =
            e.what == endpoint::kind::request ? "coppice::request<" + e.message + "> r" : e.message + " m";
        w.line("virtual coppice::task<> {}({}) = 0;", e.name, of);
    }
    for (const endpoint& e : i.endpoints) {
        if (e.what != endpoint::kind::notification) continue;
        w.line("");
        w.comment(e.doc, e.deprecated);
        w.comment("To all clients; to some. What became of each is awaited: coppice::actors::notified.");
        write_notifying(w, e);
    }
    w.line("");
    w.comment("Whose request it is that is handled now.");
    w.line("[[nodiscard]] std::uint32_t current_client() const noexcept {{ return current_; }}");
    w.line("");
    w.line("service_actor self_;");
    w.line("coppice::actors::service<requests, notifications> clients_;");
    w.line("");
    w.out();
    w.line("private:");
    w.line("    std::uint32_t current_ = 0;");
    w.line("}};");
    w.line("");
}

void write_call(writer& w, const endpoint& e) {
    w.comment(e.doc);
    if (e.deprecated) w.line("[[deprecated({})]]", attribute_literal(*e.deprecated));
    std::string parameters;
    std::string arguments;
    for (const field& f : e.parameters) {
        const std::string name = cpp_name_beside_types(f.name);  // one that shadows a type is a warning
        parameters += f.type + " " + name + ", ";
        arguments += ", std::move(" + name + ")";
    }
    if (e.what == endpoint::kind::one_way) {
        if (!parameters.empty()) parameters.resize(parameters.size() - 2);
        w.line("[[nodiscard]] auto {}({}) const {{", e.name, parameters);
        w.line("    return self_.template send_wait<{}>(joined_.requests{});", e.message, arguments);
    } else {
        w.line("[[nodiscard]] auto {}({}std::chrono::nanoseconds within_ = coppice::limits::ask_deadline) "
               "const {{",
               e.name, parameters);
        w.line("    return self_.template ask<{}>(joined_.requests, within_{});", e.message, arguments);
    }
    w.line("}}");
}

void write_client(writer& w, const interface& i) {
    w.comment("A client of the service, in the actor that has joined. It must live until its awaits end.");
    w.comment("Errors of a call are those of ask; `mailbox_full`: service_options::queue requests of this "
              "client wait already.");
    w.line("template <coppice::any_protocol Q_>");
    w.line("class client {{");
    w.line("public:");
    w.in();
    w.line("using membership_type = coppice::actors::membership<requests, notifications>;");
    w.line("client(coppice::actor<Q_> self, membership_type joined) : self_{{self}}, "
           "joined_{{std::move(joined)}} {{}}");
    for (const endpoint& e : i.endpoints) {
        if (e.what == endpoint::kind::notification) continue;
        w.line("");
        write_call(w, e);
    }
    w.line("");
    w.comment("Leaves politely: what waits is still served.");
    w.line("[[nodiscard]] coppice::task<coppice::result<void>> leave_service() const {{");
    w.line("    return coppice::actors::leave(self_, joined_);");
    w.line("}}");
    w.comment("Its number, and the ref to monitor: its end is the service's.");
    w.line("[[nodiscard]] const membership_type& joined_as() const noexcept {{ return joined_; }}");
    w.line("");
    w.out();
    w.line("private:");
    w.in();
    w.line("coppice::actor<Q_> self_;");
    w.line("membership_type joined_;");
    w.out();
    w.line("}};");
    w.line("");
    w.comment("Makes this actor a client. Its protocol names the notifications.");
    w.line("template <coppice::any_protocol Q_>");
    w.line("[[nodiscard]] coppice::task<coppice::result<client<Q_>>> join(");
    w.line("    coppice::actor<Q_> self, coppice::ref<service_protocol> service,");
    w.line("    std::chrono::nanoseconds within = coppice::limits::ask_deadline) {{");
    w.line(
        "    auto joined = co_await coppice::actors::join<requests, notifications>(self, service, within);");
    w.line("    if (!joined) co_return joined.error();");
    w.line("    co_return client<Q_>{{self, *std::move(joined)}};");
    w.line("}}");
}

}  // namespace

std::string header_of(const file& f) {
    writer w;
    w.line("// Made by capnpc-coppice from {}; changes are lost.", f.path);
    w.line("#pragma once");
    for (const char* header :
         {"chrono", "cstddef", "cstdint", "limits", "string", "utility", "variant", "vector"})
        w.line("#include <{}>", header);
    w.line("");
    w.line("#include <coppice/actors/service.hpp>");
    w.line("#include <coppice/coppice.hpp>");
    // Who has not generated it is shown this line by the compiler.
    for (const std::string& used : f.uses)
        w.line("#include \"{}\"  // list {} for coppice_generate(), too", with_ending(used, ".coppice.hpp"),
               used);
    w.line("");
    w.line("namespace {} {{", f.space);
    for (const auto& type : f.types) {
        w.line("");
        std::visit([&](const auto& t) { write_type(w, t); }, type);
    }
    for (const interface& i : f.interfaces) {
        w.line("");
        w.comment(i.doc);
        w.line("namespace {} {{", i.space);
        w.line("");
        write_messages(w, i);
        write_server(w, i);
        write_client(w, i);
        w.line("");
        w.line("}}  // namespace {}", i.space);
    }
    w.line("");
    w.line("}}  // namespace {}", f.space);
    return w.take();
}

}  // namespace coppice::capnpc
