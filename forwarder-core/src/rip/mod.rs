//! rip
