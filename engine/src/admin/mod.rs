//! The admin endpoint.

use crate::application::Handle;
use crate::class::Error;
use crate::task::Task;
use secrecy::SecretString;
use std::net::SocketAddr;

/// Where it listens and who may give orders.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Port 0 = any.
    pub listen: SocketAddr,
    /// Orders need it; without it they are refused.
    pub token: Option<SecretString>,
}

pub(crate) async fn serve(settings: AdminSettings, handle: Handle) -> Result<(SocketAddr, Task), Error> {
    let _ = handle;
    Ok((settings.listen, crate::task::spawn("admin", async {})))
}
