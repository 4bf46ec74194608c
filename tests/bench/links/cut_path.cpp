// A TCP path that is cut on command, for the rows "cut": cut_proxy as a process of its own, so that every program of the suite
// goes over the same one. Lines come on standard input, and each is answered by one; its end is the end of the program.
//
//     PORT     the first line: where the path leads, on this machine    answer: the port at which it begins
//     hole     takes everything and passes nothing on                   answers: the time, ns of the system's clock
//     refuse   resets the connections it has and refuses new ones
//     open     passes everything on again, and resets the connections it has
//     reset    resets the connections it has
#include <chrono>
#include <iostream>
#include <string>

#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>

#include "support/cut_proxy.hpp"

using coppice::tests::cut_proxy;

int main() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    std::string line;
    if (!std::getline(std::cin, line)) return 1;
    cut_proxy path{static_cast<std::uint16_t>(std::stoi(line))};
    std::cout << path.port() << std::endl;
    while (std::getline(std::cin, line)) {
        // Of an outage that is over, the time before anything could come over the new path; of a mere reset the time after
        // which nothing comes over the old one.
        auto now = std::chrono::system_clock::now();
        if (line == "hole") path.swallow(cut_proxy::direction::both);
        else if (line == "open") path.forward();
        else if (line == "refuse") path.refuse(true);
        else if (line != "reset") return 1;
        if (line != "hole") path.cut(cut_proxy::how::reset);
        if (line == "reset") now = std::chrono::system_clock::now();
        std::cout << std::chrono::nanoseconds{now.time_since_epoch()}.count() << std::endl;
    }
}
