//! The console: pages for people, at `/console/`. They are rendered here and work without a script; a small one of our
//! own keeps them up to date. Like the API it asks the catalog, and nobody else knows what it shows.
//!
//! Every request passes `answer`: who is signed in, and whether a change comes from our own pages. Then `Route` says
//! which page it is.

mod alerts;
mod answer;
mod asked;
mod backup;
mod backup_actions;
mod body;
mod chart;
mod delete;
mod error;
mod events;
mod fleet;
mod instance;
mod instance_actions;
mod live;
mod overview;
mod packed;
mod page;
mod part;
mod proof;
mod quotas;
mod reference;
mod restore;
mod retention;
mod route;
mod session;
mod show;
mod sign_in;
mod state;
mod timeline;

use actix_web::web::{self, Data, ServiceConfig};

pub use state::{Console, ConsoleSettings};

/// Everything below `/console`. One pattern for all: each takes memory in each thread.
pub fn routes(console: Data<Console>) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        let handler = |request, payload, console| answer::answer(request, payload, console);
        config.app_data(console);
        config.service(web::resource("/console").to(answer::to_front));
        config.service(web::resource("/console/{path:.*}").to(handler));
    }
}
