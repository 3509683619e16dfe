//! A process with a wrong clock: a small library, loaded with `LD_PRELOAD`, shifts the times that the process reads. It
//! needs `cc`, as the build of the services does.

use crate::{service::Service, world::World};
use std::{process::Command, time::Duration};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/clock.c");

impl Service {
    /// Sets its clock ahead by this time, in whole seconds.
    ///
    /// # Panics
    /// When the library can't be compiled.
    #[must_use]
    pub fn ahead(self, world: &World, time: Duration) -> Self {
        let library = world.folder().join("clock.so");
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(SOURCE).output();
        let compiled = compiled.expect("cc can be run");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        self.with("LD_PRELOAD", library.to_str().expect("a path in UTF-8"))
            .with("CLOCK_AHEAD", &time.as_secs().to_string())
    }
}
