#include "cpu/interpreter/op.hpp"

#include "cpu/interpreter/block_cache.hpp"
#include "cpu/interpreter/quick_access.hpp"

namespace touka::cpu::interpreter {

Link* stop(Processor& p, const Op* op) {
    p.rip = own_rip(p, op);
    p.attention = true;
    return nullptr;
}

Link* leave_after(Processor& p, const Op* op) {
    p.rip = following_rip(p, op);
    p.attention = true;
    return nullptr;
}

Link* next_after_code_write(Processor& p, const Op* op, const std::byte* host) {
    code_written(p, host);
    return next(p, op);
}

} // namespace touka::cpu::interpreter
