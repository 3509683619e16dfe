//! What the services and their tests rely on, of the broker, the SMTP server and the inbox.

#[cfg(feature = "broker")]
mod broker;
