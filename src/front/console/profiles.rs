//! The load profiles of a run side by side: what became of each, for the final report.

use super::grid::Grid;
use crate::front::text::{Align, clock, milliseconds, of_seconds};
use crate::stats::snapshot::{ProfileView, Snapshot};

/// What became of each profile, for the final report.
pub(super) fn table(snapshot: &Snapshot, width: usize) -> String {
    let columns = [
        ("Name", Align::Left),
        ("Wants", Align::Left),
        ("From", Align::Right),
        ("To", Align::Right),
        ("# iterations", Align::Right),
        ("Avg", Align::Right),
        ("p95", Align::Right),
        ("p95 due", Align::Right),
        ("Due", Align::Right),
        ("Started", Align::Right),
        ("Dropped", Align::Right),
        ("Lost", Align::Right),
        ("Raised", Align::Right),
    ];
    let mut grid =
        Grid::new("Load profiles (times of iterations in ms)", &columns).dispensing(&["From", "To", "Raised", "Avg", "Started", "p95 due"]);
    for profile in &snapshot.profiles {
        grid.row(row(profile));
    }
    grid.render(width)
}

fn row(profile: &ProfileView) -> Vec<String> {
    let time = |seconds: f64| of_seconds(seconds.max(0.0), milliseconds);
    let ms = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), time);
    let arrivals = &profile.arrivals;
    let is_open = arrivals.due > 0 || arrivals.rate.is_some();
    let counted = |count: u64| if is_open { count.to_string() } else { "-".to_owned() };
    let lost = if is_open { counted(arrivals.lost) } else { profile.quota.map_or_else(|| "-".to_owned(), |quota| quota.lost.to_string()) };
    let wants = match &profile.quota {
        Some(quota) => format!("{} of {} iterations", quota.begun, quota.total),
        None => profile.kind.name().to_owned(),
    };
    vec![
        profile.name.clone(),
        wants,
        clock(profile.begins),
        profile.ends.map_or_else(|| "-".to_owned(), clock),
        profile.iterations.count.to_string(),
        ms(profile.iterations.avg()),
        ms(profile.iterations.percentile(0.95)),
        ms(profile.since_due.percentile(0.95)),
        counted(arrivals.due),
        counted(arrivals.started),
        counted(arrivals.dropped.iter().map(|(_, count)| count).sum()),
        lost,
        profile.raised.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::drop_reason::DropReason;
    use crate::stats::snapshot::{ArrivalsView, ProfileKind, QuotaView};
    use std::time::Duration;

    #[test]
    fn each_profile_has_a_row_with_what_it_wanted_and_what_became_of_it() {
        let browse = ProfileView { name: "browse".into(), ends: Some(Duration::from_secs(90)), ..ProfileView::default() };
        let arrivals = ArrivalsView { due: 50, started: 47, dropped: vec![(DropReason::NoFreeUser, 2)], lost: 1, rate: None };
        let begins = Duration::from_secs(10);
        let buy = ProfileView { name: "buy".into(), kind: ProfileKind::Arrivals, begins, arrivals, raised: 3, ..ProfileView::default() };
        let quota = Some(QuotaView { total: 30, begun: 28, lost: 2 });
        let admin = ProfileView { name: "admin".into(), kind: ProfileKind::Iterations, quota, ..ProfileView::default() };
        let snapshot = Snapshot { profiles: vec![admin, browse, buy], ..Snapshot::default() };
        insta::assert_snapshot!(table(&snapshot, 160));
        assert!(table(&snapshot, 80).lines().all(|line| line.len() <= 80), "{}", table(&snapshot, 80));
        assert_eq!(table(&Snapshot::default(), 160), "");
    }
}
