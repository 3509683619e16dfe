//! What only some modules know, and what the pure ones must not know.

use crate::modules;

/// What is known, the words by which it shows, and the only modules that may have them.
const KNOWN_TO: [(&str, &[&str], &[&str]); 4] = [
    (
        "actix",
        &["actix_"],
        &[
            "user-service/http",
            "user-service/application",
            "user-service/main",
            "notification-service/health",
            // The filter of the log names one of its modules.
            "shared/runtime/telemetry",
        ],
    ),
    (
        "a Kafka client",
        &["rdkafka::"],
        &[
            "user-service/publisher",
            "user-service/log_ends",
            "user-service/replica/follow",
            "user-service/signup/forget",
            "user-service/support/read",
            "notification-service/consumer",
            "notification-service/writer",
            "notification-service/dead_letters",
            "shared/runtime/kafka",
        ],
    ),
    (
        "SMTP",
        &["tokio::net", "tokio_rustls", "\"EHLO", "\"MAIL FROM", "\"RCPT", "\"QUIT"],
        &["notification-service/mailer"],
    ),
    (
        "how a task or a thread starts without an owner",
        &["tokio::spawn(", "thread::spawn(", "thread::Builder"],
        &[
            "shared/runtime/tasks",
            // It waits for signals until the process ends.
            "shared/runtime/shutdown",
            // The log's thread lives as long as the process, and a task watches it.
            "shared/runtime/telemetry/lines",
            // The thread that takes acks lives as long as its producer, and is reported when it ends.
            "shared/runtime/kafka/producer",
            // QUIT, for which nobody waits; a time limit ends it.
            "notification-service/mailer/session",
        ],
    ),
];

/// No input or output, no clock, no randomness.
const PURE: [&str; 11] = [
    "user-service/rules",
    "notification-service/mailing",
    "notification-service/gate",
    "notification-service/offsets",
    "notification-service/retry",
    "notification-service/record",
    "notification-service/header",
    "notification-service/outcome",
    "notification-service/dead_letter",
    "notification-service/email",
    "notification-service/status",
];
const IMPURE: [&str; 9] =
    ["rdkafka::", "tokio", "actix", "std::fs", "std::net", "std::thread", "::now", ".elapsed()", "rand::"];

/// The verbs and the view: what they know of the world outside comes from `outside`.
const BEHIND_OUTSIDE: [&str; 3] = ["user-service/signup", "user-service/replica", "user-service/wrong_codes"];
/// Shells that lie among them.
const SHELLS: [&str; 2] = ["user-service/signup/forget", "user-service/replica/follow"];
const OUTSIDE: [&str; 8] = [
    "rdkafka::",
    "tokio::time",
    "tokio::task",
    "tokio::spawn",
    "std::thread",
    "Instant::now",
    "Timestamp::now",
    "rand",
];
/// No answer depends on these: the pause of the watch over the log-end offsets, and when moka drops an entry.
const EXCUSED: [&str; 2] =
    ["tokio::time::timeout(pause, stop.cancelled())", "duration_since(Timestamp::now())"];

/// State that all services of a process share: the log's alone.
const SHARED: [&str; 3] = ["static WRITER:", "static NOT_COPIED:", "static NOT_UNDERSTOOD:"];
const MUTABLE: [&str; 7] = ["Mutex", "RwLock", "Atomic", "Once", "Cell", "LineLimit", " mut "];

/// Calls `look` with the name and the code of each module of the services and of what they share.
fn each(mut look: impl FnMut(&str, &str)) {
    for package in
        ["user-service", "notification-service", "shared/runtime", "shared/texts", "shared/contract"]
    {
        for module in modules(package) {
            look(&format!("{package}/{}", module.path.join("/")), &module.code);
        }
    }
}

/// Whether a module is this one or inside it.
fn is_in(module: &str, of: &str) -> bool {
    module.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[test]
fn actix_kafka_smtp_and_tasks_are_known_where_they_belong_and_nowhere_else() {
    for (what, words, places) in KNOWN_TO {
        let mut used: Vec<_> = places.iter().map(|place| (*place, false)).collect();
        each(|module, code| {
            let Some(word) = words.iter().find(|word| code.contains(**word)) else { return };
            let place = used.iter_mut().find(|(place, _)| is_in(module, place));
            place.unwrap_or_else(|| panic!("{module} knows {what}: {word}")).1 = true;
        });
        used.retain(|(_, is_used)| !is_used);
        assert!(used.is_empty(), "these know {what} no more: {used:?}");
    }
}

#[test]
fn rules_and_the_state_machine_are_pure() {
    let mut found = PURE.map(|name| (name, false));
    each(|module, code| {
        let Some((_, is_found)) = found.iter_mut().find(|(name, _)| is_in(module, name)) else { return };
        *is_found = true;
        for word in IMPURE {
            assert!(!code.contains(word), "{module} has {word}");
        }
    });
    assert!(found.iter().all(|(_, is_found)| *is_found), "one of them is gone: {found:?}");
}

#[test]
fn the_verbs_and_the_view_know_neither_clock_nor_kafka_nor_tasks() {
    let mut excused = EXCUSED.map(|code| (code, 0));
    let mut count = 0;
    each(|module, code| {
        let is_behind = BEHIND_OUTSIDE.iter().any(|name| is_in(module, name));
        if !is_behind || SHELLS.iter().any(|shell| is_in(module, shell)) {
            return;
        }
        count += 1;
        let mut code = code.to_owned();
        for (excuse, times) in &mut excused {
            *times += code.matches(*excuse).count();
            code = code.replace(*excuse, "");
        }
        for word in OUTSIDE {
            assert!(!code.contains(word), "{module} has {word}");
        }
    });
    assert!(count > 10, "only {count} modules are left");
    assert_eq!(excused.map(|(_, times)| times), [1, 1], "of {EXCUSED:?}");
}

#[test]
fn no_mutable_state_is_shared_by_all_services_of_a_process_but_the_logs() {
    each(|module, code| {
        assert!(!code.contains("thread_local!"), "{module} has thread_local!");
        for line in code.lines().map(str::trim_start) {
            let line = line.strip_prefix("pub ").unwrap_or(line);
            let is_mutable = line.starts_with("static ") && MUTABLE.iter().any(|word| line.contains(word));
            let is_known = SHARED.iter().any(|known| line.starts_with(known));
            assert!(!is_mutable || is_known, "{module}: {line}");
        }
    });
}
