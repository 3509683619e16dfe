//! `POST /api/registration`

use crate::world::{World, token};
use contract::topic::Topic;
use reqwest::StatusCode;
use serde_json::json;

const WRONG: &str = "AAAAAAAAAAAAAAAAAAAAAA";

#[tokio::test(flavor = "multi_thread")]
async fn a_links_token_shows_what_each_registration_of_its_address_would_confirm_and_confirms_nothing() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("Ada@Example.com").await;
    let token = token(&world.registration(&id).await);
    let other = json!({"first_name": "Eve", "last_name": "Evil", "email": "ada@example.com"});
    let others = replica.post("/api/register", other).await.body["data"]["id"].clone();
    for (id, first_name, last_name, email) in
        [(json!(id), "Ada", "Lovelace", "Ada@Example.com"), (others, "Eve", "Evil", "ada@example.com")]
    {
        let shown = replica.post("/api/registration", json!({"id": id, "token": token})).await;
        assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
        assert_eq!(
            shown.body["data"],
            json!({"first_name": first_name, "last_name": last_name, "email": email})
        );
    }
    assert!(world.events(Topic::Verified).await.is_empty());
    assert!(world.events(Topic::Activity).await.is_empty(), "no attempt");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_token_sees_nothing() {
    let world = World::start().await;
    let replica = world.replica().await;
    let id = replica.registered("ada@example.com").await;
    let other = token(&world.registration(&replica.registered("eve@example.com").await).await);
    for token in [WRONG, &other] {
        let refused = replica.post("/api/registration", json!({"id": id, "token": token})).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "wrong-token"));
        assert!(!refused.body.to_string().contains("Lovelace"), "{refused:?}");
    }
    for unknown in ["5d0c4a8e-6c1f-4a52-9c0b-2f7e8d9a1b3c", "no id"] {
        let refused = replica.post("/api/registration", json!({"id": unknown, "token": WRONG})).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::NOT_FOUND, "unknown-id"));
    }
    for body in [json!({"id": id}), json!({"token": WRONG}), json!({"id": id, "token": "short"})] {
        let refused = replica.post("/api/registration", body).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields"));
    }
    replica.stop().await;
}
