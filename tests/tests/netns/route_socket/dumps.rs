//! Dumps take the place of `getkerninfo(2)`.
