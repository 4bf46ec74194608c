// Certificates for the tests of tls, made by OpenSSL when a test asks for them: nothing secret lies in the repository.
//
//     certificate_authority ca{directory, "ca"};
//     auto files = ca.issue("node", {.name = "node.test"});   // PEM files in there
#pragma once
#include <memory>
#include <string>

namespace coppice::tests {

/// PEM files, for the options cert, key and ca.
struct certificate_files {
    std::string cert;
    std::string key;
    std::string ca;

    /// "cert=...&key=...&ca=..."
    [[nodiscard]] std::string options() const;
};

struct certificate_wishes {
    std::string name;          ///< alternative name (DNS); empty: none, the common name alone
    std::string address;       ///< alternative name (IP); may be empty
    std::string common = "?";  ///< the subject's common name
    long valid_from = -3600;   ///< seconds from now
    long valid_until = 3600;
};

/// Signs certificates that are good for a test's duration.
class certificate_authority {
public:
    /// The files of different authorities have different labels.
    certificate_authority(std::string directory, std::string label);
    ~certificate_authority();
    certificate_authority(const certificate_authority&) = delete;
    certificate_authority& operator=(const certificate_authority&) = delete;

    [[nodiscard]] certificate_files issue(const std::string& label, const certificate_wishes& wishes) const;

private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

}  // namespace coppice::tests
