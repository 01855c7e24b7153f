//! Any packet: of a client, and to one.
#![no_main]

libfuzzer_sys::fuzz_target!(|packet: &[u8]| forwarder_fuzz::packet(packet));
