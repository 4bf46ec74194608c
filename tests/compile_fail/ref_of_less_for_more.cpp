// A ref of an actor that handles less cannot stand in for one that handles more.
// EXPECT: no viable conversion|no matching
#include "coppice/coppice.hpp"
using namespace coppice;

struct add {};
struct other {};

ref<protocol<add, other>> more(ref<protocol<add>> less) { return less; }
