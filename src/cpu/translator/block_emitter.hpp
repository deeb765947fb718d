// From a guest block to host code.
#pragma once

#include <xbyak/xbyak.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "cpu/translator/block_outline.hpp"
#include "cpu/translator/code_piece.hpp"
#include "cpu/translator/guest_block.hpp"
#include "cpu/translator/host_form.hpp"
#include "cpu/translator/jump_code.hpp"
#include "cpu/translator/thunks.hpp"
#include "cpu/translator/translation.hpp"

namespace touka::cpu::translator {

/// Emits blocks at the free end of code memory, as long as that is not cleared. Between two guest instructions every
/// guest register is in its host register or at home, so that leaving anywhere needs no bookkeeping; only the place of
/// the status flags varies, and is known at each point (Flags). Whatever an instruction checks, it checks before it
/// changes anything.
class BlockEmitter : private Xbyak::CodeGenerator {
public:
    BlockEmitter(interpreter::CodeMemory& memory, const FrameOffsets& offsets, const Thunks& thunks);

    /// @param translation page, generation, offset, mode and grouped are set; the rest is filled in.
    /// @param tables what the block has of them is appended; entries are numbered by their place there.
    void emit(const GuestBlock& block, Translation& translation, SideTables& tables);
    /// Of the block emitted last.
    [[nodiscard]] const BlockOutline& outline() const { return outline_; }

    /// What runs rarely is kept apart from what runs all the time, in chunks of this size.
    static constexpr std::size_t kColdChunkBytes = 256 << 10;
    /// More than any block takes of either.
    static constexpr std::size_t kMaxPartBytes = 32 << 10;
    /// What must be free of code memory for emit().
    static constexpr std::size_t kMaxBytes = kMaxPartBytes + kColdChunkBytes;

private:
    enum class Flags : std::uint8_t {
        kEither, ///< as they were at the block's entry, in either place
        kHost,   ///< in EFLAGS alone
        kHome,   ///< in RegisterFile::status alone
        kLost,   ///< nowhere: nobody reads them, and whoever leaves has them by flag_recipe_
    };
    /// Where a memory operand is in the host.
    struct Place {
        HostRegister base;
        std::int32_t displacement;
    };
    enum class Pointer : std::uint8_t {
        kAny,     ///< one of kHostPointers when a group is worth it, else RAX
        kOwn,     ///< one of kHostPointers, to stay while RAX and RCX are used
        kScratch, ///< RAX, or a pointer that is there
    };

    // block_emitter.cpp: layout and what lies behind the block.
    /// The first thing that the block does to flags is to overwrite them, before anything can end it: whoever comes
    /// with flags in EFLAGS need not bring them home.
    [[nodiscard]] bool overwrites_flags_first() const;
    /// The frame's member that says whether the vector registers that the block needs are there.
    [[nodiscard]] std::size_t vectors_off() const;
    void emit_entries(const GuestBlock& block, Translation& t);
    void emit_instruction(const GuestInstruction& i);
    /// The instruction after number `n` of the block, or nullptr.
    [[nodiscard]] const GuestInstruction* following(std::size_t n) const {
        return n + 1 < block_->count ? &block_->instructions[n + 1] : nullptr;
    }
    void emit_stubs(const Translation& t);
    void start(const GuestBlock& block, Translation& t, SideTables& tables);
    /// What `assemble` emits.
    [[nodiscard]] CodePiece piece(auto&& assemble);
    void put(std::span<const std::uint8_t> bytes);
    void make_pieces();
    [[nodiscard]] const std::uint8_t* here() const { return executable_ + getSize(); }
    [[nodiscard]] std::uint32_t from_start() const { return static_cast<std::uint32_t>(getSize() - start_); }
    [[nodiscard]] std::uint16_t from_start16() const { return static_cast<std::uint16_t>(from_start()); }
    void jump_to_thunk(const void* thunk);
    void call_thunk(const void* thunk);
    void leave_by(const void* thunk, std::uint16_t offset);
    /// A jump of `opcode` (0xE9, or 0x0F8x) to a stub that is emitted later; @return where its displacement is.
    std::size_t forward_jump(unsigned opcode);
    void resolve(std::size_t displacement_at);
    /// The next host instruction may fault on account of the running guest instruction: it stores, divides, or has an
    /// operand that must be aligned. Loads of what the lookaside table knows do not.
    void may_fault();

    // flags.cpp
    void save_flags();
    void flags_home();
    /// What follows destroys EFLAGS, and may leave.
    void flags_safe();
    /// From here on, flags are overwritten before anything reads them, while what flag_recipe_ needs stays.
    [[nodiscard]] bool may_lose_flags() const;
    /// Of flags that are nowhere.
    [[nodiscard]] FlagRecipe lost_flags() const { return flags_ == Flags::kLost ? flag_recipe_ : FlagRecipe{}; }
    /// Brings flags home that are nowhere. Clobbers RAX and RCX.
    void follow_recipe(const FlagRecipe& recipe);
    /// Clobbers RAX where they are at home.
    void flags_host();
    /// As flags_host(), unless the running instruction only passes flags on and nobody sees them before they are
    /// overwritten. Clobbers RAX if needs_flags().
    void bring_flags();
    [[nodiscard]] bool needs_flags() const;
    /// Behind the running instruction, flags are overwritten before anything reads them or can fault.
    [[nodiscard]] bool die_unseen() const;
    /// For an instruction that sets the others anew: CF alone. Clobbers nothing, and should the instruction fault, all
    /// flags are where they were.
    void carry_host();

    // memory_operand.cpp
    [[nodiscard]] Place open(const MemoryAccess& access, Pointer pointer = Pointer::kAny);
    void emit_address(const MemoryAccess& access, std::int32_t before, const Xbyak::Reg64& to);
    void add_element(const MemoryAccess& access, const Xbyak::Reg64& to);
    /// As open(), for the access of a kCopied instruction: it may have been opened before the one in front.
    [[nodiscard]] Place open_for(const GuestInstruction& i);
    /// When `i` sets flags that are wanted behind the access of `next`, that access is checked first: the check
    /// destroys flags, and bringing them back takes longer than the rest.
    void open_ahead(const GuestInstruction& i, const GuestInstruction* next);
    [[nodiscard]] static bool opens_ahead(const GuestInstruction& i, const GuestInstruction* next);
    /// What one check is for: `span_bytes` from `before` bytes before the access on.
    struct Checked {
        MemoryAccess access;
        std::int32_t before = 0;
        std::uint32_t span_bytes = 0;
        bool is_group = false;
        bool writes = false; ///< somewhere in the span; `access` perhaps not
    };
    struct CheckStub {
        std::size_t jump, retry;
        Checked checked;
        std::uint16_t offset;
        FlagRecipe flags;
    };
    void emit_check(const Checked& checked, const Xbyak::Reg64& at);
    /// Compares the address in `at` with what the table lets code do; @return the jump taken unless it may.
    [[nodiscard]] std::size_t look_up_page(const Xbyak::Reg64& at, std::uint32_t span_bytes, bool writes);
    void emit_check_stub(const CheckStub& stub);
    [[nodiscard]] Xbyak::Address in_table(std::int64_t array) const;
    /// Among the registers that hold the address of an access.
    [[nodiscard]] static std::size_t pointer_number(const Xbyak::Reg64& at);
    void assemble_look_up(const Xbyak::Reg64& at, bool writes);
    [[nodiscard]] Place moved_to_rcx(Place place);
    /// The table has changed, perhaps, or somebody used the registers.
    void forget_pointers() { pointer_groups_.fill(kNoGroup); }
    /// How many accesses of the group are still to come.
    [[nodiscard]] unsigned waiting(std::uint8_t group) const;
    /// The pointer register that is missed least, free to be used for something else.
    [[nodiscard]] HostRegister take_pointer();

    // data_instruction.cpp
    void copied(const GuestInstruction& i);
    void expect_x87(const GuestInstruction& i);
    void lea(const GuestInstruction& i);
    void multiply_divide(const GuestInstruction& i);
    void shift_by_cl(const GuestInstruction& i);
    void compare_exchange(const GuestInstruction& i);
    void compare_exchange_16(const GuestInstruction& i, Place place);
    void sign_extend(const GuestInstruction& i);
    void bit_string(const GuestInstruction& i);
    void compare_strings(const GuestInstruction& i);

    // system_instruction.cpp
    void user_access(const GuestInstruction& i);
    void interrupt_flag(const GuestInstruction& i);
    void direction_flag(const GuestInstruction& i);
    void swap_gs();
    /// Leaves to the interpreter what `i` does unless, at run time, `bit` of CR4 is as it should be. Clobbers EFLAGS.
    void expect_control(const GuestInstruction& i, std::uint64_t bit, bool is_set);
    void read_time_stamp(const GuestInstruction& i);
    void segment_base(const GuestInstruction& i);
    void push_flags(const GuestInstruction& i);
    void read_selector(const GuestInstruction& i);
    void called(const GuestInstruction& i);
    void transferred(const GuestInstruction& i);
    void call_interpreter(const GuestInstruction& i);

    // string_instruction.cpp
    struct StringStub {
        const GuestInstruction* instruction;
        bool moves;
        std::size_t behind = 0, fault_site = 0;
        std::size_t jump_count = 0;
        std::array<std::size_t, 6> jumps{};
    };
    void string_operation(const GuestInstruction& i);
    void find_string(unsigned guest, const Xbyak::Reg64& to, std::uint32_t element_bytes, StringStub& stub);
    void bring_string_home(bool moves);
    void emit_string_stub(const StringStub& stub);

    // stack.cpp
    void push_value(const GuestInstruction& i);
    void pop_value(const GuestInstruction& i);
    void leave_frame(const GuestInstruction& i);
    void move_stack_pointer(std::int32_t amount);

    // transfer.cpp
    void jump(const GuestInstruction& i);
    void jump_if(const GuestInstruction& i);
    void jump_indirect(const GuestInstruction& i);
    void call_direct(const GuestInstruction& i);
    void call_indirect(const GuestInstruction& i);
    void return_near(const GuestInstruction& i);
    void go_to(std::uint32_t target, std::uint16_t from);
    void go_by_address(std::uint32_t target);
    void go_far(std::uint32_t target);
    void add_link(std::size_t site, std::uint32_t target, std::uint16_t from, bool grouped = true);
    void load_target(const GuestInstruction& i);
    /// RAX: linear address of the running instruction's jump, which goes on behind this with its slot found (JumpCode).
    void find_jump(bool is_direct);
    void jump_to_found();

    [[nodiscard]] Xbyak::Address home(unsigned guest) const { return qword[rsp + o_.gpr + std::size_t{guest} * 8]; }
    [[nodiscard]] static Xbyak::RegExp displaced(const Xbyak::RegExp& base, std::int32_t displacement) {
        return base + static_cast<std::size_t>(std::int64_t{displacement});
    }
    [[nodiscard]] static Xbyak::RegExp at(Place place) {
        return displaced(Xbyak::Reg64(place.base), place.displacement);
    }
    /// Loads a guest register, wherever it is. @return the host register it is in: its own, or `scratch`.
    HostRegister in_register(unsigned guest, HostRegister scratch);
    void set_guest(unsigned guest, const Xbyak::Reg64& value);

    static constexpr std::uint8_t kNoGroup = 0xFF;

    struct MissStub {
        std::size_t jump, behind;
        std::uint16_t offset;
        bool is_direct; ///< RAX is the key of the target, and the jump is done; else the instruction is to be
                        ///< interpreted
    };
    void emit_miss_stub(const MissStub& stub);
    struct FarStub {
        std::size_t jump, site;
        std::uint32_t target, number;
    };
    [[nodiscard]] std::size_t far_key(std::uint32_t number) const { return o_.far_keys + number * sizeof(FarKey); }
    void emit_far_stub(const FarStub& stub);
    struct X87Stub {
        std::size_t jump;
        std::uint16_t offset;
    };
    struct RefusalStub {
        std::size_t jump;
        const GuestInstruction* instruction; ///< is the interpreter's
    };
    struct LinkStub {
        std::size_t jump;
        std::uint32_t number;
        bool with_flags;
    };

    interpreter::CodeMemory& memory_;
    const std::uint8_t* executable_;
    const FrameOffsets& o_;
    JumpCode jumps_{*this, o_};
    const Thunks& thunks_;
    CodePiece save_flags_;
    struct CheckPieces {
        CodePiece read, write, address;
    };
    std::array<CheckPieces, 1 + kHostPointers.size()> check_pieces_; ///< by pointer_number()
    const GuestBlock* block_ = nullptr;
    Translation* translation_ = nullptr;
    SideTables* tables_ = nullptr;
    std::size_t start_ = 0; ///< of the block in code memory
    std::size_t cold_at_ = 0, cold_end_ = 0;
    BlockOutline outline_;
    std::uint16_t offset_ = 0; ///< of the running guest instruction
    std::size_t index_ = 0;    ///< of the running guest instruction in the block
    Flags flags_ = Flags::kHome;
    FlagRecipe flag_recipe_;                                          ///< of the flags, where there is one
    std::size_t flag_maker_ = 0;                                      ///< index of the instruction that it is about
    std::array<std::uint8_t, kHostPointers.size()> pointer_groups_{}; ///< the groups that kHostPointers point to
    std::array<std::uint8_t, GuestBlock::kMaxGroups> opened_{};
    std::size_t request_jump_ = 0, vector_jump_ = 0;
    std::size_t body_ = 0;
    const GuestInstruction* opened_ahead_ = nullptr; ///< whose access is open, in place_ahead_
    Place place_ahead_{};
    bool has_x87_ = false; ///< it was checked in this block that the host's x87 registers are the guest's
    std::vector<CheckStub> check_stubs_;
    std::vector<MissStub> miss_stubs_;
    std::vector<FarStub> far_stubs_;
    std::vector<X87Stub> x87_stubs_;
    std::vector<RefusalStub> refusal_stubs_;
    std::vector<LinkStub> link_stubs_;
    std::vector<StringStub> string_stubs_;
};

} // namespace touka::cpu::translator
