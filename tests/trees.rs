//! Trees of files on the real server: every shape comes back the same, from each point of a chain, also by
//! `tar` alone; what is unchanged is not read; what moves while it is read is never torn silently.

#![cfg(test)]

mod support;

#[path = "trees/chain.rs"]
mod chain;
#[path = "trees/house.rs"]
mod house;
#[path = "trees/listing.rs"]
mod listing;
#[path = "trees/many.rs"]
mod many;
#[path = "trees/motion.rs"]
mod motion;
#[path = "trees/plant.rs"]
mod plant;
#[path = "trees/shapes.rs"]
mod shapes;
#[path = "trees/unread.rs"]
mod unread;
#[path = "trees/watch.rs"]
mod watch;
