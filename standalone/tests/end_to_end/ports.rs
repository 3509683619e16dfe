//! The error about a taken or wrong port names the variable that changes it.

use runtime::env::Env;
use standalone::{Ports, System};
use std::net::TcpListener;

async fn refused(variable: &'static str, value: String) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut pairs = vec![
        ("STANDALONE_KAFKA_PORT", "0".to_owned()),
        ("STANDALONE_SMTP_PORT", "0".to_owned()),
        ("STANDALONE_INBOX_PORT", "0".to_owned()),
        ("USER_SERVICE_ADDR", "127.0.0.1:0".to_owned()),
        ("USER_SERVICE_ADMIN_ADDR", "127.0.0.1:0".to_owned()),
        ("NOTIFICATION_SERVICE_ADDR", "127.0.0.1:0".to_owned()),
    ];
    pairs.retain(|(name, _)| *name != variable);
    pairs.push((variable, value));
    let mut env = Env::from_pairs(pairs);
    let ports = Ports::from_env(&mut env);
    let started = System::start(folder.path(), ports, env).await;
    let error = started.err().expect("it is refused");
    format!("{error:#}")
}

#[tokio::test]
async fn a_taken_port_is_reported_with_its_variable() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (address, taken)).expect("its address");
    for variable in ["STANDALONE_KAFKA_PORT", "STANDALONE_SMTP_PORT", "STANDALONE_INBOX_PORT"] {
        let error = refused(variable, taken.0.port().to_string()).await;
        assert!(error.contains(variable) && error.contains(&taken.0.to_string()), "{error}");
    }
    for variable in ["USER_SERVICE_ADDR", "USER_SERVICE_ADMIN_ADDR", "NOTIFICATION_SERVICE_ADDR"] {
        let error = refused(variable, taken.0.to_string()).await;
        assert!(error.contains(variable) && error.contains(&taken.0.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_port_that_is_none_is_reported_with_its_variable() {
    let error = refused("STANDALONE_SMTP_PORT", "mail".to_owned()).await;
    assert!(error.contains("STANDALONE_SMTP_PORT") && error.contains("a port from 0 to 65535"), "{error}");
}
