#pragma once

namespace touka::machine {

/// How a run of a machine ended.
enum class Outcome {
    kPoweredOff, ///< the guest switched itself off
    kReset,      ///< the guest asked for a reset
    kCrashed,    ///< a triple fault, or the guest reached a state that no processor continues from
    kStopped,    ///< stop() was called
    kFailed,     ///< the host failed
    kDiffered,   ///< the engine's check of itself found a difference
};

} // namespace touka::machine
