//! The console, asked as a browser asks it, over a real catalog.

mod changes;
mod fixture;
mod guard;
mod large;
mod pages;
mod sign_in;
