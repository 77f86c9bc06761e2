//! Changes the SCRAM credentials of a user, for which the client's Rust side has no call.
//!
//! Unsafe code stays in this function and in [`super::intake`]; librdkafka 2.12.
//!
//! Deliberately absent: anything else an administrator may do.

use aqueduct_engine::{Class, Error};
use rdkafka::bindings as ffi;
use rdkafka::client::{Client, ClientContext};
use std::ffi::{CStr, CString};
use std::ptr::null;

/// The least a broker accepts is 4096.
const ITERATIONS: i32 = 8192;
/// How long the brokers may take.
const ANSWER_MS: i32 = 20_000;

/// How a password is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Sha256,
    Sha512,
}

impl From<Mechanism> for ffi::rd_kafka_ScramMechanism_t {
    fn from(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::Sha256 => Self::RD_KAFKA_SCRAM_MECHANISM_SHA_256,
            Mechanism::Sha512 => Self::RD_KAFKA_SCRAM_MECHANISM_SHA_512,
        }
    }
}

/// Gives `user` that password, or takes it away; fine where there is none to take. Blocks for [`ANSWER_MS`] at most.
pub(crate) fn alter<C: ClientContext>(
    client: &Client<C>,
    user: &str,
    mechanism: Mechanism,
    password: Option<&[u8]>,
) -> Result<(), Error> {
    let refused = |why: &str| Error::new(Class::Config, format!("kafka: the credentials of `{user}`: {why}"));
    let name = CString::new(user).map_err(|_| refused("the name has a NUL in it"))?;
    let native = client.native_ptr();
    // SAFETY: the client is alive throughout. The alteration copies name and password, makes a salt of its own where none is
    // given, and is ours: the request copies it, and it is destroyed once. The queue and the event are ours and destroyed
    // once each, the event after everything read from it; a result belongs to its event. Texts end with a NUL.
    unsafe {
        let alteration = match password {
            Some(password) => ffi::rd_kafka_UserScramCredentialUpsertion_new(
                name.as_ptr(),
                mechanism.into(),
                ITERATIONS,
                password.as_ptr(),
                password.len(),
                null(),
                0,
            ),
            None => ffi::rd_kafka_UserScramCredentialDeletion_new(name.as_ptr(), mechanism.into()),
        };
        let queue = ffi::rd_kafka_queue_new(native);
        let mut alterations = [alteration];
        ffi::rd_kafka_AlterUserScramCredentials(native, alterations.as_mut_ptr(), 1, null(), queue);
        let event = ffi::rd_kafka_queue_poll(queue, ANSWER_MS);
        let outcome = if event.is_null() { Err("no answer".to_owned()) } else { told(event) };
        if !event.is_null() {
            ffi::rd_kafka_event_destroy(event);
        }
        ffi::rd_kafka_UserScramCredentialAlteration_destroy(alteration);
        ffi::rd_kafka_queue_destroy(queue);
        match outcome {
            // What shall not be there is not there.
            Err(why) if password.is_none() && why.contains("non-existent") => Ok(()),
            Err(why) => Err(refused(&why)),
            Ok(()) => Ok(()),
        }
    }
}

/// What the brokers said.
unsafe fn told(event: *mut ffi::rd_kafka_event_t) -> Result<(), String> {
    let text = |text: *const std::ffi::c_char| {
        // SAFETY: what librdkafka gives as text is null or ends with a NUL, and lives as long as the event.
        if text.is_null() {
            String::new()
        } else {
            unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
        }
    };
    // SAFETY: the event is alive; its result and the responses belong to it, and there are `count` of them.
    unsafe {
        if ffi::rd_kafka_event_error(event) != ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(text(ffi::rd_kafka_event_error_string(event)));
        }
        let result = ffi::rd_kafka_event_AlterUserScramCredentials_result(event);
        if result.is_null() {
            return Err("an answer to something else".to_owned());
        }
        let mut count = 0;
        let responses = ffi::rd_kafka_AlterUserScramCredentials_result_responses(result, &mut count);
        for index in 0..count {
            let error = ffi::rd_kafka_AlterUserScramCredentials_result_response_error(*responses.add(index));
            if !error.is_null()
                && ffi::rd_kafka_error_code(error) != ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                return Err(text(ffi::rd_kafka_error_string(error)));
            }
        }
    }
    Ok(())
}
