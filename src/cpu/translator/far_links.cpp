#include "cpu/translator/far_links.hpp"

#include "cpu/translator/translation.hpp"

namespace touka::cpu::translator {

std::uint32_t FarLinks::add(std::uint8_t* site) {
    const std::size_t number = links_.size();
    links_.push_back({.site = site});
    keys_[number] = {};
    return static_cast<std::uint32_t>(number);
}

void FarLinks::connect(std::uint32_t number, Translation& to, std::uint64_t key) {
    FarLink& link = links_[number];
    if (link.to != &to) {
        detach(number);
        link.to = &to;
        link.next = to.first_far_link;
        to.first_far_link = number;
    }
    keys_[number] = {key, kPatience};
}

void FarLinks::give_up(std::uint32_t number) { keys_[number].patience = kPatience; }

void FarLinks::detach(std::uint32_t number) {
    FarLink& link = links_[number];
    if (link.to == nullptr) return;
    std::uint32_t* at = &link.to->first_far_link;
    while (*at != number) at = &links_[*at].next;
    *at = link.next;
    link.to = nullptr;
}

void FarLinks::cut(Translation& to) {
    for (std::uint32_t number = to.first_far_link; number != FarLink::kNone; number = links_[number].next) {
        keys_[number].key = 0;
        links_[number].to = nullptr;
    }
    to.first_far_link = FarLink::kNone;
}

void FarLinks::cut_all() {
    for (FarKey& key : keys_.first(links_.size())) key.key = 0;
}

} // namespace touka::cpu::translator
