//! Fleets of both languages: the Python package and this crate share circuits on one server.

#[path = "python/commands.rs"]
mod commands;
#[path = "python/fleet.rs"]
mod fleet;
#[path = "python/forms.rs"]
mod forms;
#[path = "python/native.rs"]
mod native;
#[path = "python/outages.rs"]
mod outages;
#[path = "python/protocol.rs"]
mod protocol;
#[path = "python/registering.rs"]
mod registering;
#[path = "python/sharing.rs"]
mod sharing;
#[path = "python/storms.rs"]
mod storms;
#[path = "python/vanishing.rs"]
mod vanishing;
