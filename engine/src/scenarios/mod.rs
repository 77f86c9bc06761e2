//! The runtime from outside: whole applications of scripted actors, observed through their handle.

mod arbiters;
mod drain;
mod restart;
mod support;
