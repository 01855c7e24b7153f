//! Any datagram, to the port of RIP.
#![no_main]

libfuzzer_sys::fuzz_target!(|payload: &[u8]| forwarder_fuzz::rip::packet(payload));
