//! The pure tree against a small executable model of OTP's supervisor.
//!
//! [`otp`] is the model, written from OTP's documentation and nothing of ours. [`family`] draws trees of three levels.
//! Two tests drive the real tree and the model with the same events: [`prompt`], where actors answer at once and every
//! step must be the model's; [`tardy`], where answers come late and in any order and all must end alike.

mod family;
mod otp;
mod prompt;
mod tardy;
