#include <array>

#include "workloads.hpp"

namespace touka::bench {

std::span<const Workload> catalogue() {
    using enum Group;
    static constexpr auto kWorkloads = std::to_array<Workload>({
        {kInteger, "xz", xz, lacks_programs},
        {kInteger, "unxz", unxz, lacks_programs},
        {kInteger, "bzip2", bzip2, lacks_programs},
        {kInteger, "sqlite", sqlite, lacks_programs},
        {kInteger, "python", python, lacks_programs},
        {kInteger, "perl", perl, lacks_programs},
        {kInteger, "gawk", gawk, lacks_programs},
        {kInteger, "luajit", luajit, lacks_programs},
        {kInteger, "lua_interp", lua_interpreter, lacks_programs},
        {kInteger, "shell", shell, lacks_programs},
        {kInteger, "recursion", recursion},
        {kInteger, "qsort", sorting},
        {kInteger, "hash_table", hash_table},
        {kInteger, "bytecode", bytecode},
        {kInteger, "sha256", sha256},
        {kInteger, "mulx", lucas_lehmer, lacks_bmi2},

        {kFloatingPoint, "nbody", n_body},
        {kFloatingPoint, "matrix_sse2", matrix_sse2},
        {kFloatingPoint, "matrix_fma", matrix_fma, lacks_fma},
        {kFloatingPoint, "x87", x87},
        {kFloatingPoint, "aes_ni", aes_instructions, lacks_aes},
        {kFloatingPoint, "aes_tables", aes_tables},
        {kFloatingPoint, "hex_ssse3", hexadecimal, lacks_ssse3},

        {kMemory, "chase_cache", chase_cache},
        {kMemory, "chase_pages", chase_pages},
        {kMemory, "chase_memory", chase_memory},
        {kMemory, "memcpy", copy},
        {kMemory, "rep_movsb", string_move},

        {kKernel, "getpid", get_pid},
        {kKernel, "pipe", pipe_bytes},
        {kKernel, "read_zero", read_zero},
        {kKernel, "fork", fork_and_wait},
        {kKernel, "fork_exec", fork_and_execute},
        {kKernel, "page_fault", page_fault},
        {kKernel, "mprotect", protection},
        {kKernel, "sigsegv", signal_on_fault},
        {kKernel, "switch", context_switch},
        {kKernel, "ping_pong", ping_pong},
        {kKernel, "thread", thread_creation},

        {kThreads, "mutex", mutex_contention},
        {kThreads, "atomic", atomic_contention},
        {kThreads, "parallel", parallel},
    });
    return kWorkloads;
}

} // namespace touka::bench
