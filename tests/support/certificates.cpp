// Certificates by OpenSSL's API: P-256 keys, X.509 version 3, a day of life at most.
#include "support/certificates.hpp"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>

namespace coppice::tests {

namespace {

void must(bool done) {
    if (!done) std::abort();
}

struct closed_file {
    void operator()(std::FILE* f) const { std::fclose(f); }
};
using file = std::unique_ptr<std::FILE, closed_file>;

file create(const std::string& path) {
    file f{std::fopen(path.c_str(), "we")};
    must(f != nullptr);
    return f;
}

void add(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    must(extension && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

X509* certificate_for(EVP_PKEY* key, const std::string& common, long from, long until) {
    static long serial = 1;
    X509* made = X509_new();
    must(made && X509_set_version(made, 2) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made), from);
    X509_gmtime_adj(X509_getm_notAfter(made), until);
    must(X509_set_pubkey(made, key) == 1);
    X509_NAME* name = X509_get_subject_name(made);
    must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common.c_str()), -1, -1, 0) == 1);
    return made;
}

}  // namespace

std::string certificate_files::options() const { return "cert=" + cert + "&key=" + key + "&ca=" + ca; }

struct certificate_authority::parts {
    std::string directory;
    std::string label;
    EVP_PKEY* key = nullptr;
    X509* certificate = nullptr;
    std::string file;
};

certificate_authority::certificate_authority(std::string directory, std::string label)
    : parts_{std::make_unique<parts>()} {
    parts& p = *parts_;
    p.directory = std::move(directory);
    p.label = std::move(label);
    p.key = EVP_EC_gen("P-256");
    must(p.key != nullptr);
    p.certificate = certificate_for(p.key, "test authority " + p.label, -3600, 86400);
    X509* own = p.certificate;
    must(X509_set_issuer_name(own, X509_get_subject_name(own)) == 1);
    add(own, own, NID_basic_constraints, "critical,CA:TRUE");
    add(own, own, NID_key_usage, "critical,keyCertSign");
    must(X509_sign(own, p.key, EVP_sha256()) > 0);
    p.file = p.directory + "/" + p.label + ".pem";
    must(PEM_write_X509(create(p.file).get(), own) == 1);
}

certificate_authority::~certificate_authority() {
    X509_free(parts_->certificate);
    EVP_PKEY_free(parts_->key);
}

certificate_files certificate_authority::issue(const std::string& label,
                                               const certificate_wishes& wishes) const {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    must(key != nullptr);
    X509* made = certificate_for(key, wishes.common, wishes.valid_from, wishes.valid_until);
    must(X509_set_issuer_name(made, X509_get_subject_name(parts_->certificate)) == 1);
    std::string names;
    if (!wishes.name.empty()) names = "DNS:" + wishes.name;
    if (!wishes.address.empty()) names += std::string{names.empty() ? "" : ","} + "IP:" + wishes.address;
    if (!names.empty()) add(made, parts_->certificate, NID_subject_alt_name, names);
    must(X509_sign(made, parts_->key, EVP_sha256()) > 0);

    const std::string stem = parts_->directory + "/" + parts_->label + "-" + label;
    const certificate_files files{stem + ".pem", stem + ".key", parts_->file};
    must(PEM_write_X509(create(files.cert).get(), made) == 1);
    must(PEM_write_PrivateKey(create(files.key).get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
    must(::chmod(files.key.c_str(), S_IRUSR | S_IWUSR) == 0);
    X509_free(made);
    EVP_PKEY_free(key);
    return files;
}

}  // namespace coppice::tests
