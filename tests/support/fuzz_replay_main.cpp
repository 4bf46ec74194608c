// main() of a fuzz program in a build without libFuzzer: runs every file of the corpus folders given as arguments.
//
// An input that once broke something thus stays a test in every build, with every compiler. A folder that does not
// exist counts as empty, and the empty input is always tried.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
    const std::uint8_t nothing = 0;
    LLVMFuzzerTestOneInput(&nothing, 0);

    std::size_t count = 0;
    for (int n = 1; n < argc; ++n) {
        if (!std::filesystem::exists(argv[n])) {
            continue;
        }
        for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[n])) {
            if (!entry.is_regular_file()) {
                continue;
            }
            std::ifstream file(entry.path(), std::ios::binary);
            const std::vector<char> bytes{std::istreambuf_iterator<char>(file),
                                          std::istreambuf_iterator<char>()};
            std::printf("%s\n", entry.path().c_str());
            std::fflush(stdout);
            LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
            ++count;
        }
    }
    std::printf("replayed %zu inputs and the empty one\n", count);
}
