//! What the final report shows apart, for it is in no total and no threshold: setup, warm-up, teardown.

use super::grid::Grid;
use super::table::{time, warmup_table};
use crate::front::text::{Align, duration, percent};
use crate::stats::snapshot::{ActView, Snapshot};

/// All of it, in the order in which it was done; nothing where there is none.
#[must_use]
pub fn apart(snapshot: &Snapshot, width: usize) -> String {
    let acts = |is_before: bool| -> String {
        let of_them = snapshot.acts.iter().filter(|act| (act.act == "setup") == is_before);
        of_them.map(|act| act_table(act, width)).collect()
    };
    let warmup = snapshot.warmup.as_deref().map_or_else(String::new, |warmup| warmup_table(warmup, width));
    [acts(true), warmup, acts(false)].concat()
}

fn act_table(act: &ActView, width: usize) -> String {
    let right = Align::Right;
    let columns =
        [("Name", Align::Left), ("# reqs", right), ("# fails", right), ("Avg", right), ("Min", right), ("Median", right), ("Max", right)];
    let mut title = act.act.to_owned();
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let how = match &act.error {
        None => "took",
        Some(_) if act.is_cut_short() => "was stopped after",
        Some(_) => "FAILED after",
    };
    let title = format!("{title}, once on {}: it {how} {}; counted in no total", act.worker, duration(act.took));
    let mut grid = Grid::new("Its requests (ms)", &columns);
    for entry in &act.entries {
        grid.row(vec![
            format!("{} {}", entry.method, entry.name),
            entry.requests.to_string(),
            format!("{}({})", entry.failures, percent(entry.failures, entry.judged())),
            time(entry.avg()),
            time(entry.min),
            time(entry.percentile(0.5)),
            time(entry.max),
        ]);
    }
    if act.entries.is_empty() { format!("{title}\n\n") } else { format!("{title}\n{}", grid.render(width)) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::front::tests::busy_snapshot;
    use crate::stats::snapshot::WarmupView;

    #[test]
    fn what_is_in_no_total_stands_before_the_table_in_the_order_in_which_it_was_done() {
        let mut snapshot = busy_snapshot();
        assert_eq!(apart(&snapshot, 100), "");
        let act = |act, error: Option<&str>| ActView {
            act,
            worker: "a_1".into(),
            took: Duration::from_millis(1_250),
            error: error.map(str::to_owned),
            entries: busy_snapshot().entries,
            errors: Vec::new(),
        };
        snapshot.acts = vec![act("setup", Some("setup: it was cut short")).into()];
        assert!(apart(&snapshot, 100).starts_with("Setup, once on a_1: it was stopped after 1.25s; counted in no total\n"));
        snapshot.acts = vec![act("setup", None).into(), ActView { entries: Vec::new(), ..act("teardown", Some("no")) }.into()];
        let numbers = busy_snapshot();
        snapshot.warmup = Some(Arc::new(WarmupView { end: Duration::from_secs(30), is_over: true, numbers }));
        let text = apart(&snapshot, 100);
        let places = ["Setup, once on a_1: it took 1.25s", "GET /cart", "Warm-up, to 0:30", "Teardown, once on a_1: it FAILED after 1.25s"];
        let places = places.map(|part| text.find(part).unwrap_or_else(|| panic!("{part} in\n{text}")));
        assert!(places.is_sorted(), "{text}");
    }
}
