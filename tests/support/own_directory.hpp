// Directories of a test's own, removed at its end with what is in them: for files, and for the sockets, pipes and
// segments of nodes, which are found by COPPICE_RUN_DIR. That is one for the whole process: made before its nodes,
// on one thread.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace coppice::tests {

/// An empty directory.
class own_directory {
public:
    own_directory() {
        std::string name = (std::filesystem::temp_directory_path() / "coppice-test-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        path_ = name;
    }
    ~own_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    own_directory(const own_directory&) = delete;
    own_directory& operator=(const own_directory&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }
    /// Names of all that is in it, in no order.
    [[nodiscard]] std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator{path_})
            names.push_back(entry.path().filename().string());
        return names;
    }

private:
    std::string path_;
};

/// One that is COPPICE_RUN_DIR for as long as it lives.
class own_run_directory : public own_directory {
public:
    own_run_directory() { ::setenv("COPPICE_RUN_DIR", path().c_str(), 1); }
    ~own_run_directory() { ::unsetenv("COPPICE_RUN_DIR"); }
    own_run_directory(const own_run_directory&) = delete;
    own_run_directory& operator=(const own_run_directory&) = delete;
};

}  // namespace coppice::tests
