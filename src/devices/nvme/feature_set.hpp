#pragma once

#include "spec/nvme/feature.hpp"

namespace touka::devices::nvme {

[[nodiscard]] bool feature_exists(spec::nvme::FeatureId id);
/// Has each namespace its own value?
[[nodiscard]] bool feature_of_namespace(spec::nvme::FeatureId id);

} // namespace touka::devices::nvme
