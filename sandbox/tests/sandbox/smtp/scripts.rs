use super::*;

/// Brings a client to the stage. Returns its next command there, and the code of acceptance.
async fn at(server: &SmtpServer, stage: Stage) -> (Client, &'static str, &'static str) {
    match stage {
        Stage::Connect => (Client::connect(server).await, "", "220"),
        Stage::Ehlo => {
            let mut client = Client::connect(server).await;
            client.expect("220").await;
            (client, "EHLO client.example", "250")
        }
        Stage::Mail => (Client::greeted(server).await, "MAIL FROM:<from@example.com>", "250"),
        Stage::Rcpt => {
            let mut client = Client::greeted(server).await;
            client.say("MAIL FROM:<from@example.com>", "250").await;
            (client, "RCPT TO:<to@example.com>", "250")
        }
        Stage::Data => (Client::addressed(server).await, "DATA", "354"),
        Stage::EndOfData => (Client::mailing(server).await, ".", "250"),
    }
}

const STAGES: [Stage; 6] =
    [Stage::Connect, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::EndOfData];

async fn send(client: &mut Client, line: &str) {
    if !line.is_empty() {
        client.send(line).await;
    }
}

#[tokio::test]
async fn a_reply_can_be_given_at_each_stage() {
    for stage in STAGES {
        let server = server().await;
        server.set_script(Script::at(stage, Action::reply(451, "later\nmuch later")));
        let (mut client, line, _) = at(&server, stage).await;
        send(&mut client, line).await;
        assert_eq!(client.expect("451").await, "451-later\r\n451 much later\r\n", "{stage:?}");
        assert_eq!(server.count(), 0);
        if stage == Stage::Connect {
            client.expect_closed().await;
        } else {
            client.say("NOOP", "250").await;
        }
    }
}

#[tokio::test]
async fn a_hanging_server_answers_when_its_script_changes() {
    for stage in STAGES {
        let server = server().await;
        server.set_script(Script::at(stage, Action::Hang));
        let (mut client, line, accepted) = at(&server, stage).await;
        send(&mut client, line).await;
        assert!(client.is_left_waiting().await, "{stage:?}");
        server.set_script(Script::accept_all());
        client.expect(accepted).await;
    }
}

#[tokio::test]
async fn a_client_can_leave_a_hanging_server() {
    let server = server().await;
    server.set_script(Script::at(Stage::EndOfData, Action::Hang));
    let mut client = Client::mailing(&server).await;
    client.send(".").await;
    assert!(client.is_left_waiting().await);
    drop(client);
    sessions::wait_until_all_left(&server).await;
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn the_connection_can_be_closed_at_each_stage() {
    for stage in STAGES {
        let server = server().await;
        server.set_script(Script::at(stage, Action::Disconnect));
        let (mut client, line, _) = at(&server, stage).await;
        send(&mut client, line).await;
        client.expect_closed().await;
        assert_eq!(server.count(), 0, "{stage:?}");
    }
}

#[tokio::test]
async fn a_delay_ends_in_acceptance() {
    let server = server().await;
    server.set_script(Script::at(Stage::EndOfData, Action::Delay(Duration::from_millis(150))));
    let mut client = Client::mailing(&server).await;
    client.send(".").await;
    assert!(client.is_left_waiting().await);
    client.expect("250").await;
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_mail_can_be_kept_without_telling_the_client() {
    let server = server().await;
    server.set_script(Script::at(Stage::EndOfData, Action::AcceptThenDisconnect));
    let mut client = Client::mailing(&server).await;
    client.send(".").await;
    client.expect_closed().await;
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn one_recipient_can_be_refused() {
    let server = server().await;
    server.set_script(Script::recipient("bad@example.com", Action::reply(550, "no such user")));
    let mut client = Client::greeted(&server).await;
    client.say("MAIL FROM:<from@example.com>", "250").await;
    client.say("RCPT TO:<bad@example.com>", "550").await;
    client.say("RCPT TO:<good@example.com>", "250").await;
    client.say("DATA", "354").await;
    client.say(".", "250").await;
    assert_eq!(server.mails()[0].recipients, ["good@example.com"]);
}

#[tokio::test]
async fn the_first_attempts_alone_can_fail() {
    let server = server().await;
    server.set_script(Script::first(2, Stage::Rcpt, Action::reply(451, "later")));
    let mut client = Client::greeted(&server).await;
    client.say("MAIL FROM:<from@example.com>", "250").await;
    for code in ["451", "451", "250", "250"] {
        client.say("RCPT TO:<to@example.com>", code).await;
    }
}

#[tokio::test]
async fn a_421_ends_the_session() {
    let server = server().await;
    server.set_script(Script::at(Stage::Mail, Action::reply(421, "closing")));
    let mut client = Client::greeted(&server).await;
    client.say("MAIL FROM:<from@example.com>", "421").await;
    client.expect_closed().await;
}
