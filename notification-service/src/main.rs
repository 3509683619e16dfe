//! notification-service
fn main() {}
