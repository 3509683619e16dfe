//! The promises of the contract, situation by situation, with the clock as an
//! argument. E is a stranger, V the owner of the address, A and B are replicas.

mod model;
mod traces;
mod alike;
mod records;
