//! Draws a screen. Owns where everything stands and how it looks; decides nothing, and writes to a buffer only.

mod chart;
mod detail;
mod dialogs;
mod frame;
mod logs;
mod overview;
mod pen;
mod tables;
mod theme;

use ratatui::Frame;
use ratatui::layout::Rect;

use self::pen::Pen;
pub use self::theme::Theme;
use super::state::{CHROME_ROWS, Screen, Tab};

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, screen: &Screen, theme: Theme) {
    let area = frame.area();
    let mut pen = Pen::new(frame.buffer_mut(), theme);
    if area.width < LEAST_COLUMNS || area.height < LEAST_ROWS {
        pen.text(area, 0, 0, "lunamoth: this terminal is too small", theme.plain());
        return;
    }
    frame::head(&mut pen, area, screen);
    let body = Rect { y: area.y + 3, height: area.height - CHROME_ROWS, ..area };
    if !screen.has_snapshot {
        frame::nothing_yet(&mut pen, body, screen);
    } else if screen.detail.is_some() {
        detail::detail(&mut pen, body, screen);
    } else {
        match screen.tab {
            Tab::Overview => overview::overview(&mut pen, body, screen),
            Tab::Statistics => tables::statistics(&mut pen, body, screen),
            Tab::Failures => tables::failures(&mut pen, body, screen),
            Tab::Exceptions => tables::exceptions(&mut pen, body, screen),
            Tab::Workers => tables::workers(&mut pen, body, screen),
            Tab::Logs => logs::logs(&mut pen, body, screen),
        }
    }
    frame::foot(&mut pen, area, screen);
    dialogs::dialog(&mut pen, area, screen);
}

/// Below this nothing can be read.
const LEAST_COLUMNS: u16 = 40;
const LEAST_ROWS: u16 = 10;

#[cfg(test)]
mod tests;
