//! Which hosts a start over HTTP may name: an open port is no cannon.

use super::*;

#[tokio::test]
async fn only_allowed_hosts_can_be_named_where_others_can_reach_the_port() {
    let stage = Stage::at("[::]:0", |_| {}, |_| Ok(accepted()));
    assert!(stage.server.shown().starts_with("*:"));
    stage.snapshots.send_replace(Arc::new(Snapshot { host: Some("http://current.example:81".to_owned()), ..Snapshot::default() }));
    let known = ["http://shop.example/", "http://current.example:81", "http://changed.example"].map(|host| (host, true));
    for (host, success) in known.into_iter().chain([("http://victim.example", false)]) {
        let reply = stage.post("/swarm", FORM, &format!("user_count=1&host={host}")).await;
        assert_eq!(reply.json()["success"], json!(success), "{host} {reply:?}");
    }
    assert_eq!(stage.orders().len(), 3);
}
