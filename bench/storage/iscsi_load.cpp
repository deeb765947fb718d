// Random reads over iSCSI: one session, one connection.
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>
#include <vector>

#include "load.hpp"

using namespace touka::bench;

namespace {

constexpr int kBlockBytes = 512, kStallMs = 5000;
using Session = std::unique_ptr<iscsi_context, int (*)(iscsi_context*)>;

class Initiator {
public:
    Initiator(iscsi_context* session, int lun, const LoadOptions& options)
        : session_(session), lun_(lun), load_(options), memory_(std::size_t{options.depth} * kReadBytes),
          places_(options.depth) {
        for (std::size_t slot = 0; slot < places_.size(); ++slot) {
            places_[slot] = {this, {memory_.data() + slot * kReadBytes, kReadBytes}};
        }
    }

    int run() {
        for (Place& place : places_) start(place);
        // The reads in flight at the end are waited for: their memory goes with this object.
        while (in_flight_ > 0) {
            pollfd ready{iscsi_get_fd(session_), static_cast<short>(iscsi_which_events(session_)), 0};
            if (::poll(&ready, 1, kStallMs) != 1) return fail("the target does not answer");
            if (iscsi_service(session_, ready.revents) != 0) return fail(iscsi_get_error(session_));
        }
        return load_.report();
    }

private:
    struct Place {
        Initiator* owner = nullptr;
        scsi_iovec memory{};
    };

    void start(Place& place) {
        const auto lba = static_cast<std::uint32_t>(load_.next_offset() / kBlockBytes);
        scsi_task* const task = iscsi_read10_iov_task(session_, lun_, lba, kReadBytes, kBlockBytes, 0, 0, 0, 0, 0,
                                                      on_ended, &place, &place.memory, 1);
        if (task != nullptr) ++in_flight_;
    }

    static void on_ended(iscsi_context*, int status, void* data, void* context) {
        auto& place = *static_cast<Place*>(context);
        --place.owner->in_flight_;
        scsi_free_scsi_task(static_cast<scsi_task*>(data));
        if (place.owner->load_.ended(status == SCSI_STATUS_GOOD)) place.owner->start(place);
    }

    iscsi_context* session_;
    int lun_;
    LoadRun load_;
    unsigned in_flight_ = 0;
    std::vector<std::uint8_t> memory_;
    std::vector<Place> places_;
};

int run(const std::string& address, const LoadOptions& options) {
    const Session session(iscsi_create_context("iqn.2026-01.example:load"), iscsi_destroy_context);
    iscsi_url* const url = iscsi_parse_full_url(session.get(), address.c_str());
    if (url == nullptr) return fail(iscsi_get_error(session.get()));
    const int lun = url->lun;
    iscsi_set_targetname(session.get(), url->target);
    iscsi_set_session_type(session.get(), ISCSI_SESSION_NORMAL);
    const int connected = iscsi_full_connect_sync(session.get(), url->portal, lun);
    iscsi_destroy_url(url);
    if (connected != 0) return fail(iscsi_get_error(session.get()));
    const int status = Initiator(session.get(), lun, options).run();
    if (status == 0) iscsi_logout_sync(session.get());
    return status;
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Random reads over iSCSI, for ./dev bench storage.");
    std::string url;
    app.add_option("url", url, "iscsi://ADDRESS:PORT/TARGET/LUN")->required();
    const LoadOptions options(app, 256);
    CLI11_PARSE(app, argc, argv);
    return run(url, options);
}
