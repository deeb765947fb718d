#include "machine/passed_statistics.hpp"

#include <gtest/gtest.h>

namespace touka::machine {
namespace {

TEST(PassedStatistics, AreOneLineAFunction) {
    EXPECT_EQ(describe("vfio@0000:03:00.0", {.forwarded = 12,
                                             .direct = 3,
                                             .most_mapped_bytes = 8192,
                                             .raised_interrupts = 4,
                                             .most_carried_vectors = 2}),
              "vfio@0000:03:00.0: 12 accesses to BARs forwarded, 3 by this process's own mapping; 8192 bytes of BARs "
              "mapped into the guest; 4 interrupts through this process, 2 vectors by irqfd\n");
}

} // namespace
} // namespace touka::machine
