//! Writes into a buffer: text that is cut at its place and harmless for the terminal, rules, tables of columns.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use super::theme::Theme;
use crate::front::text::{Align, escape, shorten};

/// A buffer and how it is written to. Places are relative to an area, and nothing is written outside of it.
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    /// What the terminal can show.
    pub theme: Theme,
}

impl<'a> Pen<'a> {
    /// A pen on a buffer.
    pub fn new(buffer: &'a mut Buffer, theme: Theme) -> Self {
        Self { buffer, theme }
    }

    /// Writes text at a place of an area, cut at its end; the answer is the column after it.
    pub fn text(&mut self, area: Rect, x: u16, y: u16, text: &str, style: Style) -> u16 {
        if x >= area.width || y >= area.height {
            return x;
        }
        let safe = escape(text);
        let safe = if self.theme.is_unicode { safe } else { ascii(&safe).into() };
        let (end, _) = self.buffer.set_stringn(area.x + x, area.y + y, safe, usize::from(area.width - x), style);
        end - area.x
    }

    /// Writes words one after the other.
    pub fn words(&mut self, area: Rect, x: u16, y: u16, words: &[(&str, Style)]) -> u16 {
        words.iter().fold(x, |x, (text, style)| self.text(area, x, y, text, *style))
    }

    /// Writes text that ends at the right side of an area.
    pub fn right(&mut self, area: Rect, y: u16, text: &str, style: Style) {
        let width = text.width().min(usize::from(area.width)) as u16;
        self.text(area, area.width - width, y, text, style);
    }

    /// Writes text into `width` columns, shortened in its middle, at the side that is told.
    pub fn cell(&mut self, area: Rect, (x, y, width): (u16, u16, u16), text: &str, align: Align, style: Style) {
        let text = shorten(text, usize::from(width));
        let text = if self.theme.is_unicode { text } else { text.replace('…', "~").into() };
        let blanks = width.saturating_sub(text.width() as u16);
        let x = if align == Align::Right { x + blanks } else { x };
        self.text(area, x, y, &text, style);
    }

    /// A heading with a rule up to the end of the area.
    pub fn heading(&mut self, area: Rect, y: u16, text: &str) {
        let theme = self.theme;
        let end = self.text(area, 0, y, text, theme.accent());
        if end + 1 < area.width {
            self.rule(Rect { x: area.x + end + 1, width: area.width - end - 1, ..area }, y);
        }
    }

    /// A rule across an area.
    pub fn rule(&mut self, area: Rect, y: u16) {
        let line = self.theme.sign("─", "-").repeat(usize::from(area.width));
        self.text(area, 0, y, &line, self.theme.quiet());
    }

    /// Styles what stands in an area.
    pub fn paint(&mut self, area: Rect, style: Style) {
        self.buffer.set_style(area.intersection(self.buffer.area), style);
    }

    /// Writes one cell, which must be a single column wide.
    pub fn dot(&mut self, x: u16, y: u16, sign: &str, style: Style) {
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.set_symbol(sign).set_style(style);
        }
    }

    pub fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buffer[(x, y)].reset();
            }
        }
    }

    /// A frame around an area, whose inside is emptied; the answer is the inside.
    pub fn frame(&mut self, area: Rect, title: &str) -> Rect {
        self.clear(area);
        let theme = self.theme;
        let side = theme.sign("─", "-").repeat(usize::from(area.width.saturating_sub(2)));
        let corners = if theme.is_unicode { ["╭", "╮", "╰", "╯"] } else { ["+", "+", "+", "+"] };
        let quiet = theme.quiet();
        self.words(area, 0, 0, &[(corners[0], quiet), (&side, quiet), (corners[1], quiet)]);
        self.words(area, 0, area.height.saturating_sub(1), &[(corners[2], quiet), (&side, quiet), (corners[3], quiet)]);
        for y in 1..area.height.saturating_sub(1) {
            self.text(area, 0, y, theme.sign("│", "|"), quiet);
            self.text(area, area.width - 1, y, theme.sign("│", "|"), quiet);
        }
        self.text(area, 2, 0, &format!(" {title} "), theme.accent());
        Rect { x: area.x + 2, y: area.y + 1, width: area.width.saturating_sub(4), height: area.height.saturating_sub(2) }
    }
}

/// Every other character becomes one that any terminal has.
fn ascii(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            letter if letter.is_ascii() => letter,
            '…' => '~',
            '·' => '.',
            _ => '?',
        })
        .collect()
}
