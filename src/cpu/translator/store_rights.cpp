#include "cpu/translator/store_rights.hpp"

namespace touka::cpu::translator {

/// calloc leaves large memory to the kernel, which backs it where it is used.
StoreRights::StoreRights(std::uint64_t page_count)
    : pages_(static_cast<Page*>(std::calloc(page_count, sizeof(Page)))) {}

} // namespace touka::cpu::translator
