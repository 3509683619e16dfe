use super::*;
use std::fs::{remove_file, write};
use tempfile::TempDir;

/// A file of a secret, and where it is.
fn file(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    write(&path, content).unwrap();
    (folder, path)
}

fn opened(content: impl AsRef<[u8]>) -> Result<String, String> {
    let (folder, path) = file(content);
    let secret = Secret::from_files("A_FILE", vec![path], one_line);
    let shown = folder.path().display().to_string();
    secret.map(|secret| secret.get()).map_err(|problem| problem.replace(&shown, ""))
}

#[test]
fn line_ends_and_a_byte_order_mark_are_no_part_of_a_secret() {
    for content in ["s3cret", "s3cret\n", "s3cret\r\n", "s3cret\n\n", "\u{FEFF}s3cret\r\n"] {
        assert_eq!(opened(content).as_deref(), Ok("s3cret"), "{content:?}");
    }
    assert_eq!(opened(" s3 cret \n").as_deref(), Ok(" s3 cret "), "spaces are");
}

#[test]
fn what_is_no_secret_is_said_and_not_shown() {
    for (content, problem) in [
        (&b""[..], "/secret is empty"),
        (b"\r\n", "/secret is empty"),
        (b" \n", "/secret is empty"),
        (b"hunter\n2", "expected one line without control characters; the content is not shown"),
        (b"hunter\x002", "expected one line without control characters; the content is not shown"),
        (b"hunter\xFF2", "/secret is not UTF-8"),
        (&[b'x'; 65_537], "/secret is longer than 64 KiB"),
    ] {
        assert_eq!(opened(content), Err(problem.to_owned()));
    }
    let folder = tempfile::tempdir().unwrap();
    let problem = |path: PathBuf| Secret::from_files("A_FILE", vec![path], one_line).unwrap_err();
    assert!(problem(folder.path().join("away")).contains("/away can't be read: No such file"));
    assert!(problem(folder.path().to_owned()).ends_with(" is no regular file"));
}

#[test]
fn a_changed_file_is_read_anew_and_a_broken_one_changes_nothing() {
    let (_folder, path) = file("old\n");
    let secret = Secret::from_files("A_FILE", vec![path.clone()], one_line).unwrap();
    write(&path, "new\n").unwrap();
    assert_eq!(secret.get(), "old", "it reads no file");
    assert_eq!((secret.renewed(), secret.file()), ("new".to_owned(), Some(("A_FILE", true))));
    assert_eq!(secret.get(), "new");
    for broken in ["", "\n", "a\nb"] {
        write(&path, broken).unwrap();
        assert_eq!(
            (secret.renewed(), secret.file()),
            ("new".to_owned(), Some(("A_FILE", false))),
            "{broken:?}"
        );
    }
    remove_file(&path).unwrap();
    assert_eq!((secret.renewed(), secret.file()), ("new".to_owned(), Some(("A_FILE", false))));
    write(&path, "new").unwrap();
    assert_eq!((secret.renewed(), secret.file()), ("new".to_owned(), Some(("A_FILE", true))));
}

#[test]
fn a_later_content_has_to_pass_the_check() {
    let (_folder, path) = file("1");
    let secret = Secret::from_files("A_FILE", vec![path.clone()], str::parse::<u8>).unwrap();
    let small = secret.checked(|number| if *number < 10 { Ok(()) } else { Err("expected less".to_owned()) });
    write(&path, "20").unwrap();
    assert_eq!((small.renewed(), small.file()), (1, Some(("A_FILE", false))));
    write(&path, "2").unwrap();
    assert_eq!((small.renewed(), small.file()), (2, Some(("A_FILE", true))));
}

#[test]
fn debug_shows_the_place_alone() {
    let (_folder, path) = file("hunter2");
    let secret = Secret::from_files("A_FILE", vec![path.clone()], one_line).unwrap();
    assert_eq!(format!("{secret:?}"), format!("Secret([{path:?}])"));
    assert_eq!(format!("{:?}", Secret::from("hunter2".to_owned())), "Secret(***)");
}

#[tokio::test]
async fn a_watched_file_is_taken_over_by_all_clones() {
    let (_folder, path) = file("old");
    let secret = Secret::from_files("A_FILE", vec![path.clone()], one_line).unwrap();
    let stop = CancellationToken::new();
    let watching = tokio::spawn(secret.clone().watch(stop.clone()));
    write(&path, "new").unwrap();
    let changed = async {
        while secret.get() != "new" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), changed).await.unwrap();
    stop.cancel();
    watching.await.unwrap();
}
