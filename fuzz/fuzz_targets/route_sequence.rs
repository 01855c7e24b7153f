//! Any sequence of requests, put to a table.
#![no_main]

libfuzzer_sys::fuzz_target!(|packet: &[u8]| {
    forwarder_fuzz::sequence(packet);
});
