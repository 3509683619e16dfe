//! The texts of a service: read at its start, and watched while it runs.

use crate::env::{self, Env};
use anyhow::Context;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use std::{convert::Infallible, path::PathBuf, sync::Arc, time::Duration};
use texts::{Checked, Fault, Faults, FaultyTexts, Folder, Kept, Settings, Texts};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Between two looks at the folder. A change is taken at the second look that finds it.
const PAUSE: Duration = Duration::from_secs(5);

/// The numbers of the watch.
#[derive(Debug, Clone, Default)]
pub struct TextsMetrics {
    refused: Counter,
    outdated: Gauge,
}

/// Reads `TEXTS_DIR` and `MAIL_LINK`, and makes of the texts what the service needs. Every fault of the folder becomes a
/// problem of `env`; the result is then `None`.
pub fn from_env<T>(
    env: &mut Env,
    build: impl Fn(&Texts, &Folder, &mut Faults) -> T + Send + Sync + 'static,
) -> Option<Arc<Kept<T>>> {
    let folder = env.optional("TEXTS_DIR", env::text).map(PathBuf::from);
    let settings = Settings { mail_has_link: mail_has_link(env) };
    let loaded = Kept::load(folder, move |folder, faults| {
        let texts = Texts::read(folder, settings, faults);
        build(&texts, folder, faults)
    });
    match loaded {
        Ok((kept, notes)) => {
            tell(&notes);
            Some(Arc::new(kept))
        }
        Err(faulty) => {
            for fault in faulty.faults() {
                env.problem("TEXTS_DIR", fault.to_string());
            }
            None
        }
    }
}

/// Reads `MAIL_LINK`: whether the mail with the code has a link.
pub fn mail_has_link(env: &mut Env) -> bool {
    env.or("MAIL_LINK", true, env::on_or_off)
}

impl TextsMetrics {
    /// Adds the numbers to what the service shows.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("texts_refused", "Changes of TEXTS_DIR that were refused", self.refused.clone());
        let outdated = "1 while TEXTS_DIR has faults and the last good texts are in use";
        registry.register("texts_outdated", outdated, self.outdated.clone());
    }

    /// Looks at the folder until `stop` is cancelled. Without a folder there is nothing to look at.
    ///
    /// # Errors
    /// None.
    pub async fn watch<T: Send + Sync + 'static>(
        self,
        kept: Arc<Kept<T>>,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        if kept.folder().is_none() {
            stop.cancelled().await;
            return Ok(());
        }
        let mut looks = interval(PAUSE);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            let kept = Arc::clone(&kept);
            let checked = tokio::task::spawn_blocking(move || kept.check()).await;
            match checked.context("the check of TEXTS_DIR panicked; the last good texts stay in use") {
                Ok(checked) => self.take(checked),
                Err(error) => {
                    self.refused.inc();
                    self.outdated.set(1);
                    log::error!("{error:#}");
                }
            }
        }
        Ok(())
    }

    fn take(&self, checked: Checked) {
        match checked {
            Checked::Same => {}
            Checked::Taken(notes) => {
                self.outdated.set(0);
                log::info!("TEXTS_DIR has changed; the new texts are in use");
                tell(&notes);
            }
            Checked::Back => {
                self.outdated.set(0);
                log::info!("TEXTS_DIR is again as the texts in use");
            }
            Checked::Refused(faulty) => {
                self.refused.inc();
                self.outdated.set(1);
                refuse(&faulty);
            }
        }
    }
}

fn tell(notes: &[Fault]) {
    for note in notes {
        log::info!("TEXTS_DIR: {note}");
    }
}

/// A line each: the log escapes a line feed.
fn refuse(faulty: &FaultyTexts) {
    log::warn!("the change of TEXTS_DIR is refused, and the last good texts stay in use");
    for fault in faulty.faults() {
        log::warn!("TEXTS_DIR: {fault}");
    }
}
