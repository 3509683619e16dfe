//! A broker that refuses some settings of topics, as managed ones do.

use super::{Kafka, SCRIPT, succeeded};
use std::process::Command;

const CLASS: &str = "ManagedPolicy";
const SOURCE: &str = r#"
import java.util.Map;
import org.apache.kafka.common.errors.PolicyViolationException;
import org.apache.kafka.server.policy.CreateTopicPolicy;

public class ManagedPolicy implements CreateTopicPolicy {
    public void validate(RequestMetadata topic) {
        if (topic.topic().startsWith("__"))
            return;
        String segment = topic.configs().get("segment.ms");
        if (segment != null && Long.parseLong(segment) < 14_400_000L)
            throw new PolicyViolationException("segment.ms: at least 4 hours");
        if (topic.configs().containsKey("compression.type"))
            throw new PolicyViolationException("compression.type: not to be set");
    }
    public void configure(Map<String, ?> settings) {}
    public void close() {}
}
"#;

impl Kafka {
    /// Makes a broker that was never started refuse `segment.ms` below four hours, and `compression.type`.
    pub fn refuse_settings(&mut self) {
        let classes = self.folder.join("classes");
        std::fs::create_dir_all(&classes).expect("a folder");
        let source = classes.join(format!("{CLASS}.java"));
        std::fs::write(&source, SOURCE).expect("a file");
        let install =
            Command::new("bash").arg(SCRIPT).arg("install").output().expect("scripts/kafka.sh can be run");
        succeeded("install", &install);
        let jars = String::from_utf8(install.stdout).expect("a path in UTF-8");
        let mut compiler = Command::new("javac");
        compiler.arg("-cp").arg(format!("{}/*", jars.trim())).arg("-d").arg(&classes).arg(&source);
        succeeded("javac", &compiler.output().expect("a JDK"));
        self.settings.push(format!("create.topic.policy.class.name={CLASS}"));
        self.classes = Some(classes);
    }
}
