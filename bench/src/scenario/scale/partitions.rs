//! The cost of a partition: idle services on topics with more and more of them.

use crate::{
    process::sink::client::MailSink,
    progress,
    report::{Cell, Table},
    scenario::idle::{self, Idle},
    stage::Stage,
};

/// Partitions of each topic.
const PARTITIONS: [u32; 3] = [6, 24, 96];

/// Measures each number of partitions once, with a broker of its own.
///
/// # Errors
/// When something can't be started.
pub(super) async fn measure() -> anyhow::Result<Table> {
    let columns = [
        "user-service: ready after s",
        "user-service: resident MB",
        "user-service: % of a core",
        "notification-service: resident MB",
        "notification-service: % of a core",
    ];
    let mut table = Table::new("Idle, by partitions of each topic", &columns);
    let bar = progress::bar("scale: partitions", PARTITIONS.len() as u64);
    for partitions in PARTITIONS {
        table.row(&format!("{partitions} partitions"), with(partitions).await?);
        bar.inc(1);
    }
    Ok(table)
}

async fn with(partitions: u32) -> anyhow::Result<[Cell; 5]> {
    let stage = Stage::start().await;
    let sink = MailSink::start().await?;
    let count = partitions.to_string();
    let mut users = stage.user_service("user-service").with("KAFKA_PARTITIONS", &count);
    let mut mails = stage.notification_service("notification-service", &sink);
    // Creates the topics.
    users.start_and_wait().await;
    users.stop().await;
    users.start();
    let ready_after = users.ready().await;
    mails.start_and_wait().await;
    let [users, mails] = idle::measure([&users, &mails]).await?;
    let Idle { megabytes, percent } = users;
    Ok([ready_after.as_secs_f64(), megabytes, percent, mails.megabytes, mails.percent].map(Cell::from))
}
