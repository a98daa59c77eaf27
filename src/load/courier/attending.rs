//! The waits of users at barriers: each comes to the meeting of that name, and leaves it.

use std::time::Duration;

use super::Courier;
use super::meetings::Met;

impl Courier {
    /// Waits until so many users of the whole cluster wait at this barrier, for `timeout` at most.
    pub async fn meet(&self, name: &str, size: u32, timeout: Duration) -> Met {
        let met = {
            let mut content = self.lock();
            let met = match content.meetings.arrive(name, size) {
                Ok(met) => met,
                Err(why) => return Met::Refused(why),
            };
            self.go_on(content);
            met
        };
        let leaving = Leaving { courier: self, name };
        let met = tokio::time::timeout(timeout, met).await;
        drop(leaving);
        met.ok().and_then(Result::ok).unwrap_or(Met::TimeIsUp)
    }
}

/// One who waits at a barrier, until it does no more.
struct Leaving<'a> {
    courier: &'a Courier,
    name: &'a str,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut content = self.courier.lock();
        content.meetings.leave(self.name);
        self.courier.go_on(content);
    }
}
