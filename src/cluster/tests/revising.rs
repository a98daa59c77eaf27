//! A running test that is asked to take changed scripts over, with real shells.

use super::*;

/// What comes of each change that a running test is asked to take over.
pub(super) const REFUSED: &str = "test.lua:1: as it was compiled when it came";

#[tokio::test]
async fn a_running_test_is_planned_anew_from_the_change_and_not_as_a_start_is() {
    let mut cluster = Cluster::of(1).await;
    cluster.handle().start(users(2), "a test").await.unwrap();
    cluster.until(|snapshot| snapshot.state == RunState::Running).await;
    cluster.handle().revise().await.unwrap();
    let told = cluster.until(|snapshot| snapshot.warnings.iter().any(|text| text.contains("cannot be taken over"))).await;
    assert!(told.warnings.iter().any(|text| text.ends_with(REFUSED)), "{:?}", told.warnings);
    assert_eq!((told.state, told.revision), (RunState::Running, 0));
    cluster.handle().stop("a test").await.unwrap();
    assert!(cluster.end().await.end.failure.is_none());
    cluster.close().await;
}
