//! The runtime from outside: whole applications of scripted actors, observed through their handle.

mod admin;
mod arbiters;
mod drain;
mod letters;
mod live;
mod readiness;
mod reload;
mod restart;
mod support;
mod tap;
mod traces;
