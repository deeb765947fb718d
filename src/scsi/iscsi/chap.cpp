#include "scsi/iscsi/chap.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include <cstring>
#include <memory>

#include "scsi/iscsi/text_keys.hpp"

namespace touka::scsi::iscsi {

namespace {

const EVP_MD* message_digest(ChapAlgorithm algorithm) {
    switch (algorithm) {
        case ChapAlgorithm::kMd5: return ::EVP_md5();
        case ChapAlgorithm::kSha1: return ::EVP_sha1();
        case ChapAlgorithm::kSha256: return ::EVP_sha256();
        case ChapAlgorithm::kSha3: return ::EVP_sha3_256();
    }
    return nullptr;
}

bool equal(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
    return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool equal(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace

std::optional<std::size_t> chap_digest_bytes(ChapAlgorithm algorithm) {
    const EVP_MD* const digest = message_digest(algorithm);
    if (digest == nullptr) return std::nullopt;
    return static_cast<std::size_t>(::EVP_MD_get_size(digest));
}

std::vector<std::uint8_t> chap_response(ChapAlgorithm algorithm, std::uint8_t identifier, std::string_view secret,
                                        std::span<const std::uint8_t> challenge) {
    const EVP_MD* const digest = message_digest(algorithm);
    const std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)> context(::EVP_MD_CTX_new(), ::EVP_MD_CTX_free);
    if (digest == nullptr || context == nullptr) return {};
    std::vector<std::uint8_t> response(EVP_MAX_MD_SIZE);
    unsigned length = 0;
    if (::EVP_DigestInit_ex(context.get(), digest, nullptr) != 1 ||
        ::EVP_DigestUpdate(context.get(), &identifier, 1) != 1 ||
        ::EVP_DigestUpdate(context.get(), secret.data(), secret.size()) != 1 ||
        ::EVP_DigestUpdate(context.get(), challenge.data(), challenge.size()) != 1 ||
        ::EVP_DigestFinal_ex(context.get(), response.data(), &length) != 1) {
        return {};
    }
    response.resize(length);
    return response;
}

bool ChapAuthenticator::system_random(std::span<std::uint8_t> bytes) {
    // Below 257 bytes the kernel gives all of it once it is seeded.
    return ::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
}

bool ChapAuthenticator::step(const ChapKeys& keys, std::string& reply) {
    switch (state_) {
        case State::kAlgorithm:
            if (!keys.algorithms) return !keys.any(); // nothing of CHAP yet: the next request brings it
            return challenge(*keys.algorithms, reply);
        case State::kResponse:
            if (!keys.any()) return true;
            return verify(keys, reply);
        case State::kDone: return !keys.any();
    }
    return false;
}

bool ChapAuthenticator::challenge(std::string_view algorithms, std::string& reply) {
    for (const std::string_view offered : parse_list(algorithms)) {
        const auto number = parse_number(offered);
        if (!number || *number > 0xFF) continue;
        const auto length = chap_digest_bytes(ChapAlgorithm(*number));
        if (!length) continue;
        algorithm_ = ChapAlgorithm(*number);
        challenge_.resize(*length);
        if (!random_({&identifier_, 1}) || !random_(challenge_)) return false;
        add_pair(reply, "CHAP_A", std::to_string(*number));
        add_pair(reply, "CHAP_I", std::to_string(identifier_));
        add_pair(reply, "CHAP_C", hexadecimal(challenge_));
        state_ = State::kResponse;
        return true;
    }
    return false;
}

bool ChapAuthenticator::verify(const ChapKeys& keys, std::string& reply) {
    if (!keys.name || !keys.response || keys.identifier.has_value() != keys.challenge.has_value()) return false;
    const auto expected = chap_response(algorithm_, identifier_, initiator_.secret, challenge_);
    const auto response = parse_binary(*keys.response, EVP_MAX_MD_SIZE);
    if (!response || expected.empty()) return false;
    const bool known = equal(*keys.name, initiator_.name);
    if (!equal(*response, expected) || !known) return false;
    if (keys.challenge && !prove(*keys.identifier, *keys.challenge, reply)) return false;
    state_ = State::kDone;
    return true;
}

/// The initiator wants to know whether we are who we say. It must not get an answer that it could use as its own: not
/// to the challenge it got from us, and not with the secret it has to know. (RFC 7143 §9.2.1)
bool ChapAuthenticator::prove(std::string_view identifier, std::string_view challenge, std::string& reply) {
    if (!target_ || equal(target_->secret, initiator_.secret)) return false;
    const auto number = parse_number(identifier);
    const auto bytes = parse_binary(challenge, spec::iscsi::kChapChallengeLimitBytes);
    if (!number || *number > 0xFF || !bytes || bytes->empty() || *bytes == challenge_) return false;
    const auto response = chap_response(algorithm_, static_cast<std::uint8_t>(*number), target_->secret, *bytes);
    if (response.empty()) return false;
    add_pair(reply, "CHAP_N", target_->name);
    add_pair(reply, "CHAP_R", hexadecimal(response));
    return true;
}

} // namespace touka::scsi::iscsi
