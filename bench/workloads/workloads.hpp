// The workloads by what they exercise, one function each. catalogue.cpp puts them into groups.
#pragma once

#include "workload.hpp"

namespace touka::bench {

// Calls, branches, indirect jumps, flags, heap (integer.cpp, bytecode.cpp)
Answer recursion(Trial& trial);
Answer sorting(Trial& trial);
Answer hash_table(Trial& trial);
Answer bytecode(Trial& trial);

// Long arithmetic on registers (sha256.cpp, lucas_lehmer.cpp)
Answer sha256(Trial& trial);
Answer lucas_lehmer(Trial& trial);
std::string_view lacks_bmi2();

// SSE2, AVX2 with FMA, x87 (floating_point.cpp)
Answer n_body(Trial& trial);
Answer matrix_sse2(Trial& trial);
Answer matrix_fma(Trial& trial);
std::string_view lacks_fma();
Answer x87(Trial& trial);

// Bytes in vector registers (aes.cpp, hexadecimal.cpp)
Answer aes_instructions(Trial& trial);
std::string_view lacks_aes();
Answer aes_tables(Trial& trial);
Answer hexadecimal(Trial& trial);
std::string_view lacks_ssse3();

// Latency and bandwidth (memory.cpp)
Answer chase_cache(Trial& trial);
Answer chase_pages(Trial& trial);
Answer chase_memory(Trial& trial);
Answer copy(Trial& trial);
Answer string_move(Trial& trial);

// Entering the kernel (system_calls.cpp), faults (faults.cpp), processes (processes.cpp)
Answer get_pid(Trial& trial);
Answer pipe_bytes(Trial& trial);
Answer read_zero(Trial& trial);
Answer page_fault(Trial& trial);
Answer protection(Trial& trial);
Answer signal_on_fault(Trial& trial);
Answer fork_and_wait(Trial& trial);
Answer fork_and_execute(Trial& trial);
Answer context_switch(Trial& trial);

// Threads (threads.cpp)
Answer ping_pong(Trial& trial);
Answer thread_creation(Trial& trial);
Answer mutex_contention(Trial& trial);
Answer atomic_contention(Trial& trial);
Answer parallel(Trial& trial);

// Programs of Debian packages on the guest's root (programs.cpp)
Answer xz(Trial& trial);
Answer unxz(Trial& trial);
Answer bzip2(Trial& trial);
Answer sqlite(Trial& trial);
Answer python(Trial& trial);
Answer perl(Trial& trial);
Answer gawk(Trial& trial);
Answer luajit(Trial& trial);
Answer lua_interpreter(Trial& trial);
Answer shell(Trial& trial);
std::string_view lacks_programs();

} // namespace touka::bench
