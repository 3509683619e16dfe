use super::*;
use ::lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor, message::MultiPart};

fn transport(server: &SmtpServer) -> AsyncSmtpTransport<Tokio1Executor> {
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1").port(server.address().port()).build()
}

fn mail() -> Message {
    Message::builder()
        .from("Signup <signup@example.com>".parse().unwrap())
        .to("Ada Løvelace <ada@example.com>".parse().unwrap())
        .subject("Grüße")
        .multipart(MultiPart::alternative_plain_html("text\n.\nend".to_owned(), "<p>html</p>".to_owned()))
        .unwrap()
}

#[tokio::test]
async fn lettre_delivers_a_multipart_mail_unchanged() {
    let server = server().await;
    let mail = mail();
    transport(&server).send(mail.clone()).await.unwrap();
    let received = server.mails().remove(0);
    assert_eq!(received.recipients, ["ada@example.com"]);
    // lettre adds one more line end before the final dot.
    assert_eq!(received.data, [mail.formatted(), b"\r\n".to_vec()].concat());
}

#[tokio::test]
async fn lettre_sees_transient_and_permanent_refusals() {
    let server = server().await;
    server.set_script(Script::at(Stage::Rcpt, Action::reply(451, "later")));
    assert!(transport(&server).send(mail()).await.unwrap_err().is_transient());
    server.set_script(Script::at(Stage::EndOfData, Action::reply(554, "no")));
    assert!(transport(&server).send(mail()).await.unwrap_err().is_permanent());
    assert_eq!(server.count(), 0);
}
