//! The broker's errors about a folder that it can't use.

use std::fs;

use super::*;

async fn refused(folder: &std::path::Path) -> String {
    let error = Broker::start(Storage::Directory(folder.to_owned()), 0).await.unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains(&format!("cannot use {} for the broker", folder.display())), "{error}");
    error
}

#[tokio::test]
async fn two_brokers_do_not_share_a_folder() {
    let folder = TempDir::new().unwrap();
    let first = Broker::start(Storage::Directory(folder.path().to_owned()), 0).await.unwrap();
    let error = refused(folder.path()).await;
    assert!(error.contains("another process uses it"), "{error}");
    first.stop().await;
    Broker::start(Storage::Directory(folder.path().to_owned()), 0).await.unwrap();
}

#[tokio::test]
async fn records_of_the_broker_before_are_recognised_and_left_alone() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("broker.db"), "SQLite format 3").unwrap();
    let error = refused(folder.path()).await;
    assert!(error.contains("broker.db") && error.contains("move the folder away"), "{error}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["broker.db"]);
}

#[tokio::test]
async fn a_folder_that_can_not_be_made_is_named() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    refused(&folder.path().join("file")).await;
}
