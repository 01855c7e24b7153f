//! Any sequence of datagrams, with time and with links that go and come.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    forwarder_fuzz::rip::sequence(input);
});
