use crate::world::{
    World, address, asked, attempt, code_of, created, created_until, registered, token_of, verified,
};
use contract::{
    event::{Event, Mailing, Registered},
    topic::Topic,
};
use jiff::{SignedDuration, Timestamp};
use rdkafka::producer::FutureRecord;
use sandbox::smtp::ReceivedMail;

fn text(mail: &ReceivedMail) -> String {
    String::from_utf8(mail.data.clone()).unwrap()
}

fn mail_to(mails: &[ReceivedMail], number: u8) -> String {
    let mail = mails.iter().find(|mail| mail.recipients == [address(number)]);
    text(mail.unwrap_or_else(|| panic!("no mail to {}", address(number))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_that_asks_for_a_mail_is_mailed_once_and_all_are_committed() {
    let world = World::new(3).await;
    let service = world.start(&[]).await;
    let (first, notice) = (registered(1), asked(Mailing::Notice, 4));
    let link = format!("https://signup.example.com/#id={}&token={}", first.registration, token_of(1));
    let first = Event::Registered(Mailing::FirstCode, first);
    world.publish(&[first, asked(Mailing::FurtherCode, 2), verified(3, Timestamp::now())]).await;
    world.publish(&[notice, asked(Mailing::Nothing, 6), attempt(7)]).await;
    let tombstone =
        FutureRecord::<str, [u8]>::to(Topic::Verified.name()).key("11111111-1111-8111-9111-111111111111");
    world.producer.send(tombstone, crate::world::DEADLINE).await.unwrap();

    world.wait_for_committed(Topic::Created, 4).await;
    world.wait_for_committed(Topic::Verified, 2).await;
    let mails = world.wait_for_mails(4).await;
    assert_eq!(mails.len(), 4);
    for number in [1, 2] {
        let mail = mail_to(&mails, number);
        assert!(mail.contains("Subject: Verify Account\r\n"), "{mail}");
        assert!(mail.contains(&format!("\r\n\r\n{}\r\n", code_of(number))), "{mail}");
        assert!(mail.contains("Auto-Submitted: auto-generated\r\n"));
        assert!(mail.contains(&format!("X-Request-Id: request-{number}\r\n")));
    }
    let first = mails.iter().find(|mail| mail.recipients == [address(1)]).unwrap().content().text.unwrap();
    assert!(first.lines().any(|line| line == link), "{first}");
    assert!(mail_to(&mails, 3).contains("Guten Tag Ada"), "the locale chooses the language");
    assert!(mail_to(&mails, 4).contains("Subject: You already have an account\r\n"));

    let health = service.wait_until(|body| body["records"]["in_flight"] == 0).await;
    assert_eq!(health["http_status"], 200);
    assert_eq!(health["records"]["delivered"], 4);
    assert_eq!(health["records"]["ignored"], 2);
    service.stop().await;
    assert_eq!(world.committed(Topic::Activity).await, 0, "attempts are none of its business");
    assert!(world.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expired_before_it_could_be_mailed_is_counted_and_not_mailed() {
    let world = World::new(1).await;
    // The code has less than a minute left.
    let past = Timestamp::now() - SignedDuration::from_secs(1);
    let yesterday = Timestamp::now() - SignedDuration::from_hours(25);
    world.publish(&[created_until(1, past), verified(2, yesterday), created(3)]).await;
    let service = world.start(&[]).await;
    world.wait_for_committed(Topic::Created, 2).await;
    world.wait_for_committed(Topic::Verified, 1).await;
    let mails = world.wait_for_mails(1).await;
    assert_eq!((mails.len(), &mails[0].recipients), (1, &vec![address(3)]));
    let health = service.wait_until(|body| body["records"]["expired"] == 2).await;
    assert_eq!(health["records"]["in_flight"], 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_written_twice_is_mailed_once() {
    let world = World::new(1).await;
    let event = created(1);
    world.publish(&[event.clone(), event.clone(), event.clone()]).await;
    let service = world.start(&[]).await;
    world.wait_for_committed(Topic::Created, 3).await;
    world.publish(&[event]).await;
    world.wait_for_committed(Topic::Created, 4).await;
    assert_eq!(world.smtp.count(), 1);
    service.wait_until(|body| body["records"]["duplicates"] == 3).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_one_place_by_two_replicas_are_one_mail() {
    let world = World::new(1).await;
    let service = world.start(&[]).await;
    for mailing in [Mailing::FirstCode, Mailing::FurtherCode, Mailing::Notice] {
        world.publish(&[asked(mailing, 1), asked(mailing, 1)]).await;
    }
    world.wait_for_committed(Topic::Created, 6).await;
    let mails = world.wait_for_mails(3).await;
    assert_eq!(mails.len(), 3);
    service.wait_until(|body| body["records"]["duplicates"] == 3).await;

    // The next place and the next window have mails of their own.
    let [mut next, mut later] = [registered(1), registered(1)];
    (next.send, later.window) = (2, later.window + 1);
    let of = |mailing, registered: &Registered| Event::Registered(mailing, registered.clone());
    world.publish(&[of(Mailing::FurtherCode, &next), of(Mailing::FirstCode, &later)]).await;
    world.publish(&[of(Mailing::Notice, &later)]).await;
    world.wait_for_mails(6).await;
    service.stop().await;
}
