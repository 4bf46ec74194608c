// script_refs: refs between scripts and messages. A message names an actor by numbers (wire_reference), a script holds a ref.
//
// The framework gives users no way from one to the other, so this is made of what it does give:
//  * A ref of this process becomes a number of a table that all scripts of the process share. It means something to them
//    alone; machine code that sends such a value to another node has to refuse it first.
//  * What came from elsewhere becomes a ref by sending it on as a message with a ref in it, to an actor made for that.
// Any thread, but for read_refs: of the actor.
#pragma once
#include <optional>
#include <vector>

#include "coppice/coppice.hpp"
#include "coppice/value.hpp"
#include "coppice/wire_reference.hpp"

namespace coppice::actors::script_parts {

/// Refs of this process that scripts have put into messages, at most so many; the oldest are forgotten: to whoever still holds
/// their number they then lead nowhere.
inline constexpr std::size_t most_shared_refs = 65'536;

/// Its number in this process's table.
[[nodiscard]] wire_reference share(const ref<anything>& r);
/// True for what share() made in this process.
[[nodiscard]] bool is_shared(const wire_reference& r) noexcept;
/// What was shared; nobody if it was forgotten.
[[nodiscard]] ref<anything> shared(const wire_reference& r);

/// A ref as a script holds it, with how a message named it, if one did.
struct held_ref {
    ref<anything> to{};
    wire_reference known{};
};

/// All references in there that share() did not make.
void find_foreign(const value& v, std::vector<wire_reference>& all);

/// As refs, in order; what leads nowhere is nobody. `reader`: kept by the caller, started here.
task<std::vector<ref<>>> read_refs(actor<anything> self, std::optional<ref<anything>>& reader,
                                   std::vector<wire_reference> all);

}  // namespace coppice::actors::script_parts
