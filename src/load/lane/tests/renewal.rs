//! Tests of a lane whose workload is renewed in mid-run: who gives way when, and to whom. In paused time, like the others.

use super::*;

impl Stand {
    /// At this moment the users of the only lane shall do something else.
    async fn renew_at(&self, millis: u64, plan: &Plan, conduct: Conduct) {
        self.at(millis).await;
        let workload = Users { conduct, diary: self.diary.clone(), zero: Rc::default(), halt: None };
        self.renewals[0].send(Renewal { workload, plan: Arc::new(plan.clone()) }).await.expect("the lane runs");
    }

    fn lives_of(&self, index: u64) -> Vec<(u128, String)> {
        let words: Vec<_> = ["start", "stop", "gone"].map(|word| format!("{word} {index}")).into();
        let diary = self.diary.borrow();
        diary.iter().filter(|(_, what)| words.iter().any(|word| what.starts_with(word))).cloned().collect()
    }
}

fn told(lives: &[(u128, &str)]) -> Vec<(u128, String)> {
    lives.iter().map(|&(at, what)| (at, what.to_owned())).collect()
}

#[test]
fn a_user_ends_its_iteration_and_its_think_time_and_a_fresh_one_of_its_index_counts_on() {
    in_paused_time(async {
        let plan = plan(&[(1, 0)], Some(2_000));
        let mut stand = Stand::new(&plan, busy(300, 200), SlotSet::all(), 100);
        // In the middle of the second iteration, which is over at 800; the think time after it ends at 1,000.
        stand.renew_at(600, &plan, busy(400, 100)).await;
        stand.reports().await;
        let lives = stand.lives_of(0);
        let first = [(0, "start 0 class 0 after 0"), (1_000, "stop 0"), (1_000, "gone 0"), (1_000, "start 0 class 0 after 2")];
        assert_eq!(lives[..4], told(&first));
        assert_eq!(
            lives[4],
            (2_000, "stop 0".to_owned()),
            "the third iteration at 1,000, the fourth at 1,500, the end of the run after it"
        );
    });
}

#[test]
fn users_do_not_all_begin_anew_at_once() {
    in_paused_time(async {
        let plan = plan(&[(4, 0), (4, 900), (8, 0)], Some(3_000));
        let mut stand = Stand::new(&plan, busy(0, 1_000), SlotSet::all(), 100);
        stand.renew_at(500, &plan, busy(0, 1_000)).await;
        stand.reports().await;
        let begun: Vec<_> = stand.events("start").into_iter().map(|(at, _)| at).collect();
        // Each of the first four gives way when its think time is over; those that come at 900 are made by the new workload.
        assert_eq!(begun, [0, 0, 0, 0, 900, 900, 900, 900, 1_000, 1_000, 1_000, 1_000]);
    });
}

#[test]
fn a_user_that_has_ended_itself_does_not_come_back() {
    in_paused_time(async {
        let plan = plan(&[(2, 0)], Some(3_000));
        let mut stand = Stand::new(&plan, Conduct::Leaves(Duration::from_millis(700)), SlotSet::all(), 100);
        stand.renew_at(500, &plan, busy(100, 0)).await;
        stand.reports().await;
        assert_eq!(stand.events("start").len(), 2);
    });
}

#[test]
fn an_iteration_that_never_ends_stays_until_the_run_ends() {
    in_paused_time(async {
        let plan = plan(&[(1, 0)], Some(1_500));
        let mut stand = Stand::new(&plan, Conduct::Deaf, SlotSet::all(), 100);
        stand.renew_at(500, &plan, busy(100, 0)).await;
        let reports = stand.reports().await;
        assert_eq!((stand.events("start").len(), dropped(&reports)), (1, 1));
    });
}
