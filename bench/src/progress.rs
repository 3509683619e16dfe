//! What is being done at the moment, on a terminal; elsewhere nothing is drawn.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A bar over so many steps, already drawn; it goes away when it is dropped.
pub(crate) fn bar(label: &str, steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps).with_message(label.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{msg:30} {wide_bar} {pos}/{len} {elapsed} ({eta} left)")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
