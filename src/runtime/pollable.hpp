#pragma once

namespace touka::runtime {

/// What a reactor looks at by itself, again and again, instead of being told of it: memory that another processor
/// writes. All calls are on the reactor's thread.
class Pollable {
public:
    virtual ~Pollable() = default;
    /// Does what there is to do. @return whether there was anything since the last look, this included.
    virtual bool poll() = 0;
    /// The loop would sleep now. @return whether this will be told of what comes, by a watch or by posted work;
    /// false: nobody tells, or something has come meanwhile.
    virtual bool fall_asleep() = 0;
    /// The loop looks again: nobody need tell. Called only after fall_asleep().
    virtual void wake_up() = 0;
};

} // namespace touka::runtime
