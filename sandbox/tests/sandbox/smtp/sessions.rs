use std::time::Instant;

use sandbox::smtp::SessionCount;

use super::*;

pub(super) async fn wait_until_all_left(server: &SmtpServer) {
    let started = Instant::now();
    while server.sessions().open > 0 {
        assert!(started.elapsed() < DEADLINE, "{:?}", server.sessions());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn sessions_are_counted() {
    let server = server().await;
    let first = Client::greeted(&server).await;
    let second = Client::greeted(&server).await;
    assert_eq!(server.sessions(), SessionCount { opened: 2, open: 2, peak: 2 });
    drop((first, second));
    wait_until_all_left(&server).await;
    Client::greeted(&server).await;
    assert_eq!((server.sessions().opened, server.sessions().peak), (3, 2));
}

#[tokio::test]
async fn a_stopped_server_refuses_clients_and_has_dropped_its_sessions() {
    let server = server().await;
    server.set_script(Script::at(Stage::Mail, Action::Hang));
    let mut idle = Client::greeted(&server).await;
    let mut hanging = Client::greeted(&server).await;
    hanging.send("MAIL FROM:<from@example.com>").await;
    server.stop().await;
    assert!(TcpStream::connect(server.address()).await.is_err());
    idle.expect_closed().await;
    hanging.expect_closed().await;
}

#[tokio::test]
async fn a_restarted_server_has_its_port_script_and_mails() {
    let server = server().await;
    let mut client = Client::mailing(&server).await;
    client.say(".", "250").await;
    server.set_script(Script::at(Stage::Mail, Action::reply(451, "later")));
    server.restart().await.unwrap();
    client.expect_closed().await;
    let mut client = Client::greeted(&server).await;
    client.say("MAIL FROM:<from@example.com>", "451").await;
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn waiting_for_mail_ends_at_its_deadline() {
    let server = server().await;
    assert!(!server.wait_for(|mails| !mails.is_empty(), Duration::from_millis(20)).await);
    assert!(!server.wait_for_count(1, Duration::from_millis(20)).await);
}
