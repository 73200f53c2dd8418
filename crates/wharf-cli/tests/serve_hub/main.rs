//! `/hub` of `wharf serve`: the subprotocol `wharf.json.v1`, publishing by HTTP, and who may do what.

#[path = "../serving/mod.rs"]
mod serving;

mod access;
mod client;
mod protocol;
mod publishing;
