//! A chart of bands that stand behind each other, one column of the terminal a stretch of time: each band reaches from the one below up
//! to its own value. Colours tell the bands apart, and signs where there are none.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::pen::Pen;
use super::theme::BandColour;
use crate::front::text::Align;

/// A band: its name in the legend, its colour, its signs without colour (of the terminal's own, and of ASCII), and its values, none of
/// which lies below the band before it.
pub struct Band {
    /// As the legend names it.
    pub name: &'static str,
    /// The latest value, for people.
    pub latest: String,
    /// Where there are colours.
    pub colour: BandColour,
    /// Where there are none.
    pub signs: (&'static str, &'static str),
    /// One for each column; `None` where nobody knows.
    pub values: Vec<Option<f64>>,
}

/// What a chart shows.
pub struct Chart<'a> {
    /// In the first row.
    pub title: &'a str,
    /// From the lowest to the highest.
    pub bands: Vec<Band>,
    /// How a value of the scale is written.
    pub scale: fn(f64) -> String,
    /// What stands below the first column, in the middle, and below the last one.
    pub below: [String; 3],
}

/// Columns of the scale at the left of a chart.
pub const SCALE_COLUMNS: u16 = 7;

/// Draws the chart: a title with the legend, the plot, and the times below.
pub fn chart(pen: &mut Pen<'_>, area: Rect, chart: &Chart<'_>) {
    let theme = pen.theme;
    let mut x = pen.text(area, 0, 0, chart.title, theme.accent());
    let is_tight = area.width < WIDE;
    let (gap, space) = if is_tight { (" ", "") } else { ("  ", " ") };
    for band in chart.bands.iter().rev() {
        let sign = if theme.is_coloured { theme.sign("■", "#") } else { sign(band.signs, theme.is_unicode) };
        let words = [(gap, theme.plain()), (sign, theme.band(band.colour)), (space, theme.plain()), (band.name, theme.quiet())];
        x = pen.words(area, x, 0, &words);
        x = pen.words(area, x, 0, &[(" ", theme.plain()), (&band.latest, theme.strong())]);
    }
    if area.height < 4 || area.width <= SCALE_COLUMNS + 4 {
        return;
    }
    let plot = Rect { x: area.x + SCALE_COLUMNS, y: area.y + 1, width: area.width - SCALE_COLUMNS, height: area.height - 2 };
    let peak = chart.bands.iter().flat_map(|band| &band.values).flatten().fold(0.0_f64, |peak, value| peak.max(*value));
    let top = round_up(peak);
    for row in 0..plot.height {
        pen.text(area, SCALE_COLUMNS - 1, 1 + row, theme.sign("│", "|"), theme.quiet());
    }
    for (row, value) in labels(top, plot.height) {
        let text = if value == 0.0 { "0".to_owned() } else { (chart.scale)(value) };
        pen.cell(area, (0, 1 + row, SCALE_COLUMNS - 1), &text, Align::Right, theme.quiet());
        pen.text(area, SCALE_COLUMNS - 1, 1 + row, theme.sign("┤", "+"), theme.quiet());
    }
    let columns = chart.bands.first().map_or(0, |band| band.values.len()).min(usize::from(plot.width));
    for column in 0..columns {
        let heights: Option<Vec<f64>> = chart.bands.iter().map(|band| Some(band.values[column]? / top * f64::from(plot.height))).collect();
        let Some(heights) = heights else {
            pen.dot(plot.x + column as u16, plot.bottom() - 1, "?", theme.quiet());
            continue;
        };
        for row in 0..plot.height {
            let (sign, style) = cell(pen, chart, &heights, f64::from(row));
            pen.dot(plot.x + column as u16, plot.bottom() - 1 - row, sign, style);
        }
    }
    let below = Rect { x: plot.x, y: plot.bottom(), width: plot.width, height: 1 };
    let [first, middle, last] = &chart.below;
    let end = pen.text(below, 0, 0, first, theme.quiet());
    let room = below.width.saturating_sub(end + last.len() as u16 + 4);
    if middle.len() as u16 <= room {
        pen.text(below, (below.width - middle.len() as u16) / 2, 0, middle, theme.quiet());
    }
    pen.right(below, 0, last, theme.quiet());
}

/// The rows of a plot whose cells end at a round part of `top`, from the highest, and those parts; the last one is nothing, at the foot.
fn labels(top: f64, rows: u16) -> Vec<(u16, f64)> {
    let most = (rows / ROWS_A_LABEL).clamp(1, 5);
    let parts = (1..=most).rev().find(|parts| is_round(top / f64::from(*parts))).unwrap_or(1);
    let place = |part: u16| ((f64::from(part) / f64::from(parts)) * f64::from(rows)).round() as u16;
    let above = (1..=parts).rev().map(|part| (rows - place(part), top * f64::from(part) / f64::from(parts)));
    above.filter(|(row, _)| *row + 1 < rows).chain([(rows - 1, 0.0)]).collect()
}

/// Whether one counts in it: a one, a two, a two and a half or a five, and zeros.
fn is_round(step: f64) -> bool {
    let leading = step / 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].iter().any(|round| (leading - round).abs() < 1e-6)
}

/// The sign and the style of the cell between `row` and `row + 1`, where the bands are as high as `heights`.
fn cell(pen: &Pen<'_>, chart: &Chart<'_>, heights: &[f64], row: f64) -> (&'static str, Style) {
    let theme = pen.theme;
    let reaching = |height: f64| (height - row).clamp(0.0, 1.0);
    // The band that fills the cell's bottom, and the one behind it.
    let Some(first) = heights.iter().position(|height| reaching(*height) > 0.0) else { return (" ", theme.plain()) };
    let band = &chart.bands[first];
    if !(theme.is_coloured && theme.is_unicode) {
        let highest = heights.iter().enumerate().rev().find(|(_, height)| reaching(**height) >= 0.5).map(|(index, _)| index);
        // The lowest band that fills half of the cell; a value that is not nothing leaves a mark at the foot.
        let shown = heights.iter().position(|height| reaching(*height) >= 0.5).or(highest);
        return match shown {
            Some(index) => (sign(chart.bands[index].signs, theme.is_unicode), theme.band(chart.bands[index].colour)),
            None if row == 0.0 => (theme.sign("▁", "_"), theme.band(band.colour)),
            None => (" ", theme.plain()),
        };
    }
    let eighths = ((reaching(heights[first]) * 8.0).round() as usize).max(usize::from(row == 0.0));
    let behind = heights.iter().skip(first + 1).position(|height| reaching(*height) >= 0.5).map(|index| first + 1 + index);
    match (eighths, behind) {
        (8.., _) => ("█", theme.band(band.colour)),
        (0, Some(behind)) => ("█", theme.band(chart.bands[behind].colour)),
        (eighths, Some(behind)) => {
            let back = theme.band(chart.bands[behind].colour).fg.unwrap_or_default();
            (EIGHTHS[eighths], theme.band(band.colour).bg(back))
        }
        (eighths, None) => (EIGHTHS[eighths], theme.band(band.colour)),
    }
}

fn sign(signs: (&'static str, &'static str), is_unicode: bool) -> &'static str {
    if is_unicode { signs.0 } else { signs.1 }
}

/// The next number above that a person likes to see on a scale: 1, 2 or 5, and zeros.
pub fn round_up(peak: f64) -> f64 {
    if peak <= 0.0 || !peak.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(peak.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].into_iter().map(|step| step * power).find(|round| *round >= peak * 0.999).unwrap_or(peak)
}

/// Rows that a label of the scale has to itself, at the least.
const ROWS_A_LABEL: u16 = 3;

/// Columns from which on the legend is spaced.
const WIDE: u16 = 50;

const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_round_labels_that_stand_where_their_values_are() {
        let texts = |top, rows| labels(top, rows).into_iter().map(|(row, value)| (row, format!("{value}"))).collect::<Vec<_>>();
        let expect = |pairs: &[(u16, &str)]| pairs.iter().map(|(row, text)| (*row, (*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(texts(30.0, 15), expect(&[(0, "30"), (5, "20"), (10, "10"), (14, "0")]));
        assert_eq!(texts(4.0, 8), expect(&[(0, "4"), (4, "2"), (7, "0")]));
        assert_eq!(texts(1.5, 9), expect(&[(0, "1.5"), (3, "1"), (6, "0.5"), (8, "0")]));
        assert_eq!(texts(8.0, 2), expect(&[(0, "8"), (1, "0")]));
        assert_eq!(texts(500.0, 33).len(), 6);
    }
}
