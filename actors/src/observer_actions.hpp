// What the observer's page may ask to be done, in the ways of the command line: a stop by the supervisor, a pause by the node
// of the parent, a message as a value under its type's name. Coroutines of the observer, on its thread; each waits for nobody
// longer than limits::ask_deadline, or, for an end, limits::shutdown_deadline more.
#pragma once
#include <string>

#include "coppice/actors/observer.hpp"
#include "coppice/actors/web_call.hpp"
#include "coppice/on_behalf.hpp"

namespace coppice::actors::observing {

using observer_actor = actor<observer_protocol>;

/// The control actor of the node that this path leads to.
task<result<ref<control_protocol>>> control_of(observer_actor self, std::string path);

/// What a page asks for, for the log; names that are none of the page's are not repeated.
std::string description_of(const web::call& asked);

/// The names of the actions that this one may ask for, for the path that it names: a list. Nothing is done, and no refusal counted.
result<value> actions_of(const on_behalf& who, const std::string& tree, const web::call& asked);

/// Does it for that one, as far as the node's rights let it, for a path in that tree. The answer is for people: what has been done, or what an actor replied.
task<result<value>> perform(observer_actor self, on_behalf who, std::string tree, web::call asked);

}  // namespace coppice::actors::observing
