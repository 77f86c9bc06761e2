//! A wire between the browser and the node, which can be cut and mended.

use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub struct Wire {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cut: bool,
    ended: bool,
    open: Vec<TcpStream>,
}

impl Wire {
    pub fn to(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for browser in listener.incoming().map_while(Result::ok) {
                if shared.lock().unwrap().ended {
                    return;
                }
                join(browser, node, &shared);
            }
        });
        Self { address, state }
    }

    /// Nothing passes, and whoever comes is hung up on.
    pub fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.cut = true;
        for stream in state.open.drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        self.state.lock().unwrap().cut = false;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
        self.state.lock().unwrap().ended = true;
        let _ = TcpStream::connect(self.address);
    }
}

fn join(browser: TcpStream, node: SocketAddr, state: &Mutex<State>) {
    let mut state = state.lock().unwrap();
    if state.cut {
        return;
    }
    let node = TcpStream::connect(node).unwrap();
    for (from, to) in [(&browser, &node), (&node, &browser)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
    state.open.extend([browser, node]);
}
