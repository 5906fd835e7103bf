#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(
    // automerge may panic, and the gate catches it: only what it does not catch is a finding.
    init: std::panic::set_hook(Box::new(|_| {})),
    |bytes: &[u8]| targets::run("gate", bytes)
);
