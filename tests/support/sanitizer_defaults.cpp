// Run-time options of the sanitizers, compiled into every program that the tests run.
//
// In the program, and not in an environment variable, so that they hold for child processes and for a test that is
// started by hand. The functions are hooks that the sanitizers look up by name; in a plain build nobody calls them.
extern "C" {
const char* __asan_default_options();
const char* __ubsan_default_options();
const char* __tsan_default_options();
const char* __tsan_default_suppressions();
const char* __lsan_default_options();

const char* __asan_default_options() {
    return "detect_stack_use_after_return=1:check_initialization_order=1:strict_init_order=1:detect_leaks=1";
}

const char* __ubsan_default_options() { return "print_stacktrace=1"; }

const char* __tsan_default_options() { return "halt_on_error=1:second_deadlock_stack=1"; }

// Asio's reference count uses a fence, which ThreadSanitizer does not model (chriskohlhoff/asio issue 1760, fixed in
// Boost 1.92): 4 of 60 runs reported a race that is none.
const char* __tsan_default_suppressions() {
    return "race:boost::asio::execution::detail::shared_target_executor\n";
}

const char* __lsan_default_options() { return "print_suppressions=0"; }
}
