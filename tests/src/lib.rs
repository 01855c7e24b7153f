//! Tools of the tests that need a kernel: frames built by hand, labs of
//! network namespaces.

pub mod frame;
