#include "cpu/interpreter/processor.hpp"
#include "spec/x86/cpuid.hpp"
#include "spec/x86/page_table.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

constexpr std::uint32_t kGenu = 0x756E'6547; // "Genu", EBX of leaf 0 on Intel processors
constexpr unsigned kDefaultAddressBits = 36, kMostAddressBits = 52;

} // namespace

ProcessorModel::ProcessorModel(const CpuidTable& table) {
    if (table.lookup(0, 0).ebx == kGenu) vendor = Vendor::kIntel;
    gigabyte_pages = (table.lookup(0x8000'0001, 0).edx & cpuid::extended1_edx::PAGE_1GB) != 0;
    unsigned bits = table.lookup(0x8000'0008, 0).eax & 0xFF;
    if (bits == 0) bits = kDefaultAddressBits;
    if (bits > kMostAddressBits) bits = kMostAddressBits;
    xsave = XsaveLayout(table);
    reserved_address_bits = page_entry::kAddress & ~((std::uint64_t{1} << bits) - 1);
}

} // namespace touka::cpu::interpreter
