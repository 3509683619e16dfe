//! Puts the guard of `src/kafka/leader_hints.rs` in the place of librdkafka's function, in every binary that this package links.
//!
//! Cargo gives a linker argument to the package that asks for it, so each package with a binary of `runtime` has this as its
//! build script. One that forgets it does not link: `undefined symbol: __real_rd_kafka_metadata_update_op`.

fn main() {
    println!("cargo::rerun-if-env-changed=CARGO_CFG_TARGET_OS");
    // Other linkers have no `--wrap`: there the services run without the guard.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-link-arg=-Wl,--wrap=rd_kafka_metadata_update_op");
    }
}
