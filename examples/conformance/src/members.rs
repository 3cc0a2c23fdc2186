//! `/control/member`: on whose behalf peers may act.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use grove_attest::{Member, Peers, PublicKey};
use serde::Deserialize;
use serde_json::json;

use crate::control::{BadRequest, Body, json_response, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Added {
    project: String,
    member_id: String,
    public_key: PublicKey,
    #[serde(default)]
    rights: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Removed {
    project: String,
    member_id: String,
}

/// The routes.
pub(crate) fn routes(peers: &Peers) -> Router {
    Router::new().route("/control/member", post(add).delete(remove)).with_state(peers.clone())
}

async fn add(State(peers): State<Peers>, body: Body) -> Result<Response, BadRequest> {
    let Added { project, member_id, public_key, rights } = read(body)?;
    let member = Member::new(member_id.as_str(), public_key).rights(rights);
    peers.add_member(&project, member).map_err(|why| BadRequest(why.to_string()))?;
    Ok(json_response(&json!({ "member_id": member_id })))
}

async fn remove(State(peers): State<Peers>, body: Body) -> Result<Response, BadRequest> {
    let Removed { project, member_id } = read(body)?;
    let removed = peers.remove_member(&project, &member_id).map_err(|why| BadRequest(why.to_string()))?;
    Ok(json_response(&json!({ "removed": removed })))
}
