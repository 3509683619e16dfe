//! Shows the progress on a terminal. Elsewhere nothing is drawn.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A bar with this many steps. Dropping it removes it.
pub(crate) fn bar(label: &str, steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps).with_message(label.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{msg:30} {wide_bar} {pos}/{len} {elapsed} ({eta} left)")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
