#include "scsi/copy/copy_capabilities.hpp"

#include <array>
#include <span>

#include "scsi/copy/copy_parameters.hpp"
#include "scsi/parameter_data.hpp"
#include "spec/scsi/operation.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

constexpr std::array<std::uint8_t, 2> kDescriptorTypes{kSegmentBlockToBlock, kTargetIdentification};

/// A third-party copy descriptor, filled with zeros to a multiple of four bytes. (SPC-4 §7.8.17.2)
void add_descriptor(ParameterData& page, ThirdPartyCopyDescriptor type, std::span<const std::uint8_t> content) {
    const std::size_t padding = (4 - content.size() % 4) % 4;
    page.number(static_cast<std::uint16_t>(type), 2).number(content.size() + padding, 2).bytes(content).zeros(padding);
}

/// A list with its length in one byte before it.
std::vector<std::uint8_t> counted(std::span<const std::uint8_t> list) {
    return ParameterData().byte(list.size()).bytes(list).take();
}

} // namespace

std::vector<std::uint8_t> copy_operating_parameters() {
    constexpr std::uint8_t kNoListIdentifier = 0x01; // SNLID: LIST ID USAGE 11b is known
    ParameterData data;
    data.number(0, 4).byte(kNoListIdentifier).zeros(3).number(copy_limit::kTargets, 2).number(copy_limit::kSegments, 2);
    data.number(copy_limit::kDescriptorListBytes, 4).number(copy_limit::kSegmentBytes, 4);
    data.number(0, 4).number(0, 4).number(0, 4).zeros(2); // no inline data, no held data, no streams
    data.number(copy_limit::kConcurrentCopies, 2).byte(copy_limit::kConcurrentCopies);
    data.byte(copy_limit::kGranularityLog2).byte(0).byte(0).zeros(3).bytes(counted(kDescriptorTypes));
    return data.set(0, data.size() - 4, 4).take();
}

std::vector<std::uint8_t> third_party_copy_page() {
    using enum ThirdPartyCopyDescriptor;
    namespace action = service_action;
    const std::array<std::uint8_t, 8> commands{operation::kThirdPartyCopyOut,
                                               1,
                                               action::kExtendedCopyLid1,
                                               operation::kThirdPartyCopyIn,
                                               3,
                                               action::kReceiveCopyStatusLid1,
                                               action::kReceiveCopyOperatingParameters,
                                               action::kReceiveCopyFailureDetailsLid1};
    ParameterData parameters;
    parameters.zeros(4).number(copy_limit::kTargets, 2).number(copy_limit::kSegments, 2);
    parameters.number(copy_limit::kDescriptorListBytes, 4).number(0, 4).zeros(12);
    ParameterData general;
    general.number(copy_limit::kConcurrentCopies, 4).number(copy_limit::kConcurrentCopies, 4);
    general.number(copy_limit::kSegmentBytes, 4).byte(copy_limit::kGranularityLog2).byte(0).zeros(18);
    ParameterData page;
    add_descriptor(page, kSupportedCommands, counted(commands));
    add_descriptor(page, kParameterData, parameters.view());
    add_descriptor(page, kSupportedDescriptors, counted(kDescriptorTypes));
    add_descriptor(page, kGeneralCopyOperations, general.view());
    return page.take();
}

} // namespace touka::scsi
