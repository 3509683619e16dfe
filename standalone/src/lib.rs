//! The whole system in one process, for a first look and for end-to-end tests.
//!
//! ```text
//!   data_folder ──► system: broker ─ inbox ─ user service ─ notification service ──► terminal
//! ```
//!
//! The services are the same as in production and know nothing of each other. Only the broker and the mail server come from
//! the sandbox. Everything listens on 127.0.0.1.

pub mod data_folder;
mod system;
pub mod terminal;

pub use system::{Ports, System};
