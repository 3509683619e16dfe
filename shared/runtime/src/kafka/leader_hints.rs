//! Drops the leader hints that a broker adds to a refused fetch:
//! librdkafka reads some of them from uninitialised memory.
//!
//! For a partition without a leader the broker hints at "none". librdkafka 2.5.0 to 2.16.0 counts that hint and does
//! not fill its place in the list, which keeps what the heap held there (confluentinc/librdkafka#5280). One such reply
//! can end the process, or make it never read a partition again, without any error. No setting turns the hints off.
//!
//! The linker replaces the only function that reads the list by the one below (`build.rs`). Nothing is lost:
//! the refusal that came with the hint starts a metadata refresh, which finds the leader just as soon.

#![expect(unsafe_code, reason = "the linker goes by names, and the replaced function is librdkafka's own")]

use std::ffi::{c_int, c_void};

/// `RD_KAFKA_OP_RES_HANDLED`: the caller then frees the list.
const HANDLED: c_int = 1;

unsafe extern "C" {
    fn __real_rd_kafka_metadata_update_op(client: *mut c_void, hints: *mut c_void) -> c_int;
}

/// Never called. The linker knows this name only with `--wrap`, so no binary links without the guard.
#[used]
static REPLACED: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int = __real_rd_kafka_metadata_update_op;

/// Replaces `rd_kafka_metadata_update_op`, and ignores both arguments.
#[unsafe(no_mangle)]
extern "C" fn __wrap_rd_kafka_metadata_update_op(_client: *mut c_void, _hints: *mut c_void) -> c_int {
    HANDLED
}

#[cfg(test)]
mod tests;
