//! What is in front of everything: help, questions, forms.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::front::text::{escape, wrap};
use crate::front::tui::state::dialog::Form;
use crate::front::tui::state::help::{FRAME_ROWS, HELP_COLUMNS};
use crate::front::tui::state::{Confirmed, Dialog, FormKind, Screen};

/// Draws what is in front, if anything is.
pub fn dialog(pen: &mut Pen<'_>, area: Rect, screen: &Screen) {
    match &screen.dialog {
        None => {}
        Some(Dialog::Help(top)) => help(pen, area, screen, *top),
        Some(Dialog::Confirm(confirmed)) => confirm(pen, area, screen, *confirmed),
        Some(Dialog::Form(form)) => self::form(pen, area, form),
    }
}

fn middle(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

fn help(pen: &mut Pen<'_>, area: Rect, screen: &Screen, top: usize) {
    let (lines, room) = screen.help();
    // The screen may have grown since it was scrolled.
    let top = top.min(lines.len() - room);
    let inside = pen.frame(middle(area, HELP_COLUMNS, room as u16 + FRAME_ROWS), "Keys");
    let theme = pen.theme;
    for (y, line) in (0..).zip(&lines[top..top + room]) {
        let x = pen.text(inside, 0, y, &line.key, theme.accent());
        pen.text(inside, x, y, &line.words, theme.plain());
    }
    let hint = match (top > 0, top + room < lines.len()) {
        (false, false) => return,
        (false, true) => " more below: Down, PgDn ",
        (true, true) => " more above and below ",
        (true, false) => " more above: Up, PgUp ",
    };
    pen.text(Rect { y: inside.y + room as u16, height: 1, ..inside }, 0, 0, hint, theme.accent());
}

fn confirm(pen: &mut Pen<'_>, area: Rect, screen: &Screen, confirmed: Confirmed) {
    let (title, lines) = match confirmed {
        Confirmed::Stop => ("Stop the run?", ["Users finish what they do; the numbers stay.", "A stopped run cannot be resumed."]),
        Confirmed::Reset => ("Reset the statistics?", ["All numbers of this run so far are lost;", "the load goes on."]),
        Confirmed::EndRun => ("End the run?", ["Users finish what they do; then its report is", "printed, and lunamoth ends."]),
        Confirmed::EndMaster => ("End the master?", ["The run is stopped, its report is printed,", "and the master ends."]),
    };
    let inside = pen.frame(middle(area, 56, 8), title);
    let theme = pen.theme;
    let about = format!("{}: {} users, {} requests", screen.snapshot.scenario, screen.snapshot.users, screen.snapshot.total.requests);
    pen.text(inside, 0, 0, &about, theme.strong());
    pen.text(inside, 0, 2, lines[0], theme.plain());
    pen.text(inside, 0, 3, lines[1], theme.plain());
    pen.words(
        inside,
        0,
        5,
        &[("y", theme.bad()), (" does it", theme.plain()), ("   any other key", theme.accent()), (" does not", theme.plain())],
    );
}

fn form(pen: &mut Pen<'_>, area: Rect, form: &Form) {
    let title = match form.kind {
        FormKind::Start => "Start a run",
        FormKind::Retarget => "Another load for this run",
    };
    let width = FORM_COLUMNS.min(area.width);
    let refusal = form.refusal.as_ref().map_or_else(Vec::new, |why| wrap(&escape(why), usize::from(width.saturating_sub(4))));
    let fields = form.fields.len() as u16;
    // Each field has a row for what is wrong with it, where there is room.
    let needed = |step: u16| fields * step + 3 + refusal.len() as u16;
    let step = if needed(2) + 2 <= area.height { 2 } else { 1 };
    let inside = pen.frame(middle(area, width, needed(step) + step), title);
    for index in 0..form.fields.len() {
        field(pen, inside, form, index, step);
    }
    let theme = pen.theme;
    let problem = form.problem.as_ref().filter(|_| step == 1).map(|(_, problem)| problem);
    let last = inside.height.saturating_sub(1);
    let said: Vec<&String> = problem.into_iter().chain(&refusal).collect();
    let count = said.len() as u16;
    let (from, is_short) = (fields * step, fields * step + count > last);
    // Where there is no room, why it was not done is what people need, rather than the keys and, behind them, the last fields.
    let from = if is_short { (last + 1).saturating_sub(count).min(from) } else { from };
    for (y, line) in (from..).zip(&said) {
        pen.text(inside, 0, y, &format!("{line:<0$}", usize::from(inside.width)), theme.bad());
    }
    if is_short {
        return;
    }
    if form.is_asked {
        pen.text(inside, 0, last, "Asking the master. Esc does not wait for the answer.", theme.quiet());
        return;
    }
    let done = match form.kind {
        FormKind::Start => " starts it   ",
        FormKind::Retarget => " does it   ",
    };
    let words = [("Enter", theme.accent()), (done, theme.quiet()), ("Tab", theme.accent()), (" next field   ", theme.quiet())];
    let x = pen.words(inside, 0, last, &words);
    pen.words(inside, x, last, &[("Esc", theme.accent()), (" drops it", theme.quiet())]);
}

fn field(pen: &mut Pen<'_>, inside: Rect, form: &Form, index: usize, step: u16) {
    let theme = pen.theme;
    let field = &form.fields[index];
    let y = index as u16 * step;
    let is_here = form.at == index;
    let (label, when_empty) = field.name.words(form.kind);
    pen.text(inside, 0, y, label, if is_here { theme.accent() } else { theme.plain() });
    let x = LABEL_COLUMNS;
    if is_here {
        pen.text(inside, x - 2, y, theme.sign("›", ">"), theme.accent());
    }
    let after = if field.text.is_empty() {
        if is_here {
            pen.text(inside, x, y, theme.sign("▏", "_"), theme.accent());
        }
        pen.text(inside, x + 1, y, when_empty, theme.quiet())
    } else {
        // The end of a long text is where one types.
        let room = usize::from(inside.width.saturating_sub(x + 2));
        let skipped = field.text.chars().count().saturating_sub(room);
        let text: String = field.text.chars().skip(skipped).collect();
        let end = pen.text(inside, x, y, &text, theme.strong());
        if is_here { pen.text(inside, end, y, theme.sign("▏", "_"), theme.accent()) } else { end }
    };
    if step > 1
        && let Some((_, problem)) = form.problem.as_ref().filter(|(at, _)| *at == index)
    {
        pen.text(inside, x, y + 1, problem, theme.bad());
    }
    if is_here && !field.choices.is_empty() {
        pen.text(inside, after + 2, y, theme.sign("← → choose", "left, right: choose"), theme.quiet());
    }
}

/// Columns of a form, and of its labels.
const FORM_COLUMNS: u16 = 70;
const LABEL_COLUMNS: u16 = 19;
