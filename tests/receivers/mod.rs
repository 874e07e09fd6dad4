//! Receivers of messages, on this machine: an HTTP server and a mail server that remember what they got.

#![allow(dead_code, unused_imports, reason = "each test program uses a part of this")]

mod http;
mod identity;
mod listener;
mod smtp;
mod tls;

pub(crate) use http::{HttpReceiver, Received};
pub(crate) use identity::{IdentityServer, Manner};
pub(crate) use smtp::{MailReceiver, MailSecurity};
pub(crate) use tls::Authority;
