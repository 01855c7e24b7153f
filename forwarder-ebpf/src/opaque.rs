//! Values that LLVM must not know the origin of.
//!
//! It would fold what the verifier wants to see: a bound into an addition on
//! another pointer, a check of one register into the use of its copy.
//! `core::hint::black_box` hides a value by way of the stack, on which the loads
//! of a packet's way, each of which needs the one before, would then wait.

/// The same value.
#[inline(always)]
pub fn opaque(mut value: usize) -> usize {
    // SAFETY: copies a register to itself. An instruction, because the verifier
    // refuses two line numbers for one.
    unsafe {
        core::arch::asm!(
            "{value} = {value}",
            value = inout(reg) value,
            options(nomem, nostack, preserves_flags)
        );
    }
    value
}
