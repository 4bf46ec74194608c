// The actors of the word count, their messages, and the tree that they stand in.
//
//   /wordcount (rest_for_one)
//     merger      adds up; takes each chunk once, by its number
//     saboteur    kills counters, all the time
//     counters    four pools of workers, each worker counts one chunk at a time; those of one pool are coroutines, those of the
//                 others processes that are reached over shm, pipe and tcp
//     reporter    tells how it goes; its end is the end
//     reader      in_thread, for it blocks on files: cuts them into chunks and hands each out until it is acknowledged
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <coppice/actors/pool.hpp>
#include <coppice/coppice.hpp>

#include "words.hpp"

namespace wordcount {

using namespace coppice;

struct settings {
    std::vector<std::string> files;
    std::uint64_t total_bytes = 0;
    std::size_t chunk_bytes = 0;
    std::uint32_t coroutines = 4;          ///< counters that are coroutines ...
    std::uint32_t processes = 2;           ///< ... and processes, over each kind of transport
    std::uint32_t most_attacks_apart = 8;  ///< one chunk in so many is attacked ...
    std::uint64_t least_attacks = 24;      ///< ... and the last one until there have been so many
    bool count_unprintable = false;
    bool terminal = false;
    std::string report_file;
};
using shared_settings = std::shared_ptr<const settings>;

// ---- counters
/// Answered when the merger has taken what was counted.
struct chunk {
    std::uint64_t number = 0;
    bool is_last = false;
    blob text;
    using reply = void;
};
using counter_protocol = protocol<chunk>;
using counters_protocol = actors::pool_protocol<counter_protocol>;

// ---- merger
struct merge {
    std::uint64_t number = 0;
    tally counted;
    using reply = void;
};
struct end_of_input {
    std::uint64_t chunks = 0;
};
struct progress {
    std::uint64_t bytes = 0;
    std::uint64_t chunks = 0;
    std::uint64_t repeated = 0;  ///< chunks that came once more, and were not added again
    bool complete = false;
};
struct get_progress {
    using reply = progress;
};
struct get_totals {
    using reply = tally;
};
using merger_protocol = protocol<merge, end_of_input, get_progress, get_totals>;

// ---- saboteur
enum class advice : std::uint8_t { go_on, stumble };
/// What a counter asks before it counts a chunk. It may not live to hear the answer.
struct checkpoint {
    bool is_last = false;
    int process = 0;
    using reply = advice;
};
struct get_attacks {
    using reply = std::uint64_t;
};
using saboteur_protocol = protocol<checkpoint, get_attacks>;

// ---- reader, reporter
struct delivered {};
using reader_protocol = protocol<delivered>;
struct look {};
using reporter_protocol = protocol<look>;

task<> merger(actor<merger_protocol> self);
task<> saboteur(actor<saboteur_protocol> self, shared_settings with);
task<> counting(actor<counter_protocol> self, bool count_unprintable);
task<> reader(actor<reader_protocol> self, shared_settings with);
task<> reporter(actor<reporter_protocol> self, shared_settings with, node* app);

supervisor_spec tree(shared_settings with, node* app);

}  // namespace wordcount
