//! The machine that runs the tests must offer io_uring, or say that it does not.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[test]
fn the_probe_succeeds() {
    let without = std::env::var("KEVY_TEST_WITHOUT").unwrap_or_default();
    if without.split(',').any(|name| name.trim() == "io_uring") {
        return;
    }
    kevy_uring::probe().unwrap();
}
