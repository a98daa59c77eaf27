//! Colours and signs. A colour always says what a word or a sign says too, so that the screen can be read without; colours are the
//! sixteen of the terminal, which fit its background.

use ratatui::style::{Color, Modifier, Style};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Whether it may be coloured.
    pub is_coloured: bool,
    /// Whether it shows more than ASCII.
    pub is_unicode: bool,
}

impl Theme {
    /// What stands in the background.
    #[must_use]
    pub fn plain(self) -> Style {
        Style::new()
    }

    /// For labels, units and rules.
    #[must_use]
    pub fn quiet(self) -> Style {
        if self.is_coloured { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// For numbers that matter most.
    #[must_use]
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// For what is as wanted.
    #[must_use]
    pub fn good(self) -> Style {
        self.coloured(Color::Green, Modifier::empty())
    }

    /// What has to be looked at.
    #[must_use]
    pub fn doubtful(self) -> Style {
        self.coloured(Color::Yellow, Modifier::BOLD)
    }

    /// For what failed or is lost.
    #[must_use]
    pub fn bad(self) -> Style {
        self.coloured(Color::Red, Modifier::BOLD)
    }

    /// For headings and for keys.
    #[must_use]
    pub fn accent(self) -> Style {
        self.coloured(Color::Cyan, Modifier::BOLD)
    }

    /// The row or the tab that the person is at.
    #[must_use]
    pub fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The colours of a chart's bands, from below.
    #[must_use]
    pub fn band(self, colour: BandColour) -> Style {
        match colour {
            _ if !self.is_coloured => Style::new(),
            BandColour::Bad => Style::new().fg(Color::Red),
            BandColour::Good => Style::new().fg(Color::Green),
            BandColour::Low => Style::new().fg(Color::Cyan),
            BandColour::Middle => Style::new().fg(Color::Blue),
            BandColour::High => Style::new().fg(Color::Magenta),
        }
    }

    fn coloured(self, colour: Color, without: Modifier) -> Style {
        if self.is_coloured { Style::new().fg(colour) } else { Style::new().add_modifier(without) }
    }

    /// `unicode` where the terminal can show it, else `ascii`.
    #[must_use]
    pub const fn sign<'a>(self, unicode: &'a str, ascii: &'a str) -> &'a str {
        if self.is_unicode { unicode } else { ascii }
    }
}

/// What a band of a chart stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BandColour {
    /// A band of failures.
    Bad,
    /// A band of requests or of users.
    Good,
    /// The median of durations.
    Low,
    /// Their 95th percentile, above the median.
    Middle,
    /// Their 99th percentile, above both.
    High,
}
