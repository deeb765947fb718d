#include "devices/nvme/subsystem.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

Subsystem::Subsystem(SubsystemConfiguration configuration) : configuration_(std::move(configuration)) {
    namespaces_.reserve(configuration_.namespace_limit);
}

std::optional<std::uint32_t> Subsystem::add_namespace(NamespaceConfiguration configuration) {
    const std::scoped_lock lock(mutex_);
    if (namespaces_.size() >= configuration_.namespace_limit) return std::nullopt;
    const auto nsid = static_cast<std::uint32_t>(namespaces_.size() + 1);
    namespaces_.push_back({std::make_unique<Namespace>(nsid, std::move(configuration)), {}, {}});
    return nsid;
}

Subsystem::Entry* Subsystem::entry(std::uint32_t nsid) {
    return nsid == 0 || nsid > namespaces_.size() ? nullptr : &namespaces_[nsid - 1];
}
const Subsystem::Entry* Subsystem::entry(std::uint32_t nsid) const {
    return nsid == 0 || nsid > namespaces_.size() ? nullptr : &namespaces_[nsid - 1];
}

Namespace* Subsystem::find(std::uint32_t nsid) const {
    const std::scoped_lock lock(mutex_);
    const Entry* const found = entry(nsid);
    return found == nullptr ? nullptr : found->ns.get();
}

std::vector<std::uint32_t> Subsystem::namespaces() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::uint32_t> result;
    for (const Entry& each : namespaces_) result.push_back(each.ns->nsid());
    return result;
}

Subsystem::Member* Subsystem::member(std::uint16_t id) {
    const auto found = std::ranges::find_if(members_, [id](const Member& m) { return m.controller->id() == id; });
    return found == members_.end() ? nullptr : &*found;
}

void Subsystem::join(Controller& controller, bool attach_all) {
    const std::scoped_lock lock(mutex_);
    members_.push_back({&controller, HostIdentity{{}, controller.id()}});
    for (Entry& each : namespaces_) {
        if (attach_all && std::ranges::find(each.attached, controller.id()) == each.attached.end()) {
            each.attached.push_back(controller.id());
        }
        update_access(each, members_.back());
    }
}

void Subsystem::leave(Controller& controller) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(members_, [&controller](const Member& each) { return each.controller == &controller; });
}

std::vector<std::uint16_t> Subsystem::controllers() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::uint16_t> result;
    for (const Member& each : members_) result.push_back(each.controller->id());
    std::ranges::sort(result);
    return result;
}

std::vector<std::uint16_t> Subsystem::controllers_of(std::uint32_t nsid) const {
    const std::scoped_lock lock(mutex_);
    const Entry* const found = entry(nsid);
    std::vector<std::uint16_t> result = found == nullptr ? std::vector<std::uint16_t>{} : found->attached;
    std::ranges::sort(result);
    return result;
}

// --- attachment ---

Status Subsystem::attach(std::uint32_t nsid, std::span<const std::uint16_t> ids, const Controller* by) {
    const std::scoped_lock lock(mutex_);
    Entry* const target = entry(nsid);
    if (target == nullptr) return Status::kInvalidNamespaceOrFormat;
    for (const std::uint16_t id : ids) {
        if (member(id) == nullptr) return Status::kControllerListInvalid;
        if (std::ranges::find(target->attached, id) != target->attached.end()) {
            return Status::kNamespaceAlreadyAttached;
        }
    }
    for (const std::uint16_t id : ids) {
        if (std::ranges::find(target->attached, id) != target->attached.end()) continue; // twice in the list
        target->attached.push_back(id);
        Member& each = *member(id);
        update_access(*target, each);
        if (each.controller != by) each.controller->namespace_changed(nsid);
    }
    return Status::kSuccess;
}

Status Subsystem::detach(std::uint32_t nsid, std::span<const std::uint16_t> ids, const Controller* by) {
    const std::scoped_lock lock(mutex_);
    Entry* const target = entry(nsid);
    if (target == nullptr) return Status::kInvalidNamespaceOrFormat;
    for (const std::uint16_t id : ids) {
        if (member(id) == nullptr) return Status::kControllerListInvalid;
        if (std::ranges::find(target->attached, id) == target->attached.end()) return Status::kNamespaceNotAttached;
    }
    for (const std::uint16_t id : ids) {
        if (std::erase(target->attached, id) == 0) continue;
        Member& each = *member(id);
        update_access(*target, each);
        if (each.controller != by) each.controller->namespace_changed(nsid);
    }
    return Status::kSuccess;
}

void Subsystem::update_access(Entry& target) {
    for (Member& each : members_) update_access(target, each);
}

void Subsystem::update_access(Entry& target, Member& each) {
    NamespaceView* const view = each.controller->view(target.ns->nsid());
    if (view == nullptr) return;
    std::uint8_t access = 0;
    if (std::ranges::find(target.attached, each.controller->id()) != target.attached.end()) {
        access |= NamespaceView::kAttached;
        if (target.reservations.may_read(each.host)) access |= NamespaceView::kReadable;
        if (target.reservations.may_write(each.host)) access |= NamespaceView::kWritable;
    }
    if (view->ns == nullptr) view->ns = target.ns.get(); // once: commands read it without the lock
    view->access.store(access, std::memory_order_release);
}

void Subsystem::namespace_changed(std::uint32_t nsid, const Controller* by) {
    const std::scoped_lock lock(mutex_);
    const Entry* const target = entry(nsid);
    if (target == nullptr) return;
    for (const std::uint16_t id : target->attached) {
        Member* const each = member(id);
        if (each != nullptr && each->controller != by) each->controller->namespace_changed(nsid);
    }
}

void Subsystem::when_quiet(std::uint32_t nsid, const std::vector<HostIdentity>* hosts, std::function<void()> done) {
    const std::scoped_lock lock(mutex_); // so that no controller leaves meanwhile
    std::vector<memory::DmaUses*> uses;
    for (const Member& each : members_) {
        if (hosts != nullptr && std::ranges::find(*hosts, each.host) == hosts->end()) continue;
        if (NamespaceView* const view = each.controller->view(nsid)) uses.push_back(&view->uses);
    }
    if (uses.empty()) return done();
    // Whoever counts down to nothing was the last; shared because nobody knows who that will be.
    struct Wait {
        std::atomic<std::size_t> left;
        std::function<void()> done;
    };
    const auto wait = std::make_shared<Wait>(uses.size(), std::move(done));
    for (memory::DmaUses* const each : uses) {
        each->when_over([wait] {
            if (wait->left.fetch_sub(1) == 1) wait->done();
        });
    }
}

void Subsystem::pair_ended() {
    const std::scoped_lock lock(mutex_);
    for (const Member& each : members_) {
        each.controller->post([controller = each.controller] { controller->resume_behind_pairs(); });
    }
}

} // namespace touka::devices::nvme
