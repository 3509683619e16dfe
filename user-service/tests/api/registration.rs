//! `POST /api/registration`

use crate::world::{World, token};
use reqwest::StatusCode;
use serde_json::json;
use shared::topic::Topic;

const WRONG: &str = "AAAAAAAAAAAAAAAAAAAAAA";

#[tokio::test(flavor = "multi_thread")]
async fn a_links_token_shows_what_it_would_confirm_and_confirms_nothing() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("Ada@Example.com").await;
    let token = token(&world.newest_code(&id).await);
    let shown = replica.post("/api/registration", json!({"id": id, "token": token})).await;
    assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
    assert_eq!(
        shown.body["data"],
        json!({"first_name": "Ada", "last_name": "Lovelace", "email": "Ada@Example.com"})
    );
    assert!(world.events(Topic::Verified).await.is_empty());
    assert!(world.events(Topic::Activity).await.is_empty(), "no attempt");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_token_sees_nothing() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let other = token(&world.newest_code(&replica.registered("eve@example.com").await).await);
    for token in [WRONG, &other] {
        let refused = replica.post("/api/registration", json!({"id": id, "token": token})).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "wrong-token"));
        assert!(!refused.body.to_string().contains("Lovelace"), "{refused:?}");
    }
    let unknown = "c19a848c-0495-87ae-9e10-8be694335a56";
    let refused = replica.post("/api/registration", json!({"id": unknown, "token": WRONG})).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::NOT_FOUND, "unknown-id"));
    for body in [json!({"id": id}), json!({"token": WRONG}), json!({"id": id, "token": "short"})] {
        let refused = replica.post("/api/registration", body).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields"));
    }
    replica.stop().await;
}
